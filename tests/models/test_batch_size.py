"""How many states are drawn at once: as many as memory suggests, and the same states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import pushforward as pf
from pushforward.models import batch_size

N = 12_000


class Watched:
    """Remembers the largest batch that a network was given."""

    def __init__(self, net: nn.Module) -> None:
        self.most = 0
        net.register_forward_pre_hook(self._note)

    def _note(self, module: nn.Module, arguments: tuple[Any, ...]) -> None:
        self.most = max(self.most, len(arguments[0]))


def data() -> pf.data.Data:
    return pf.data.load(torch.randn(100, 2, generator=torch.Generator().manual_seed(0)))


def watched_model(name: str) -> tuple[Any, Watched]:
    net = pf.nn.MLP(2, width=256)
    make = {"flow matching": pf.FlowMatching, "diffusion": pf.Diffusion}[name]
    return make(net, event_shape=2), Watched(net)


MODELS: dict[str, Callable[[], Any]] = {
    "flow matching": lambda: pf.FlowMatching(pf.nn.MLP(2, width=256), event_shape=2),
    "diffusion": lambda: pf.Diffusion(pf.nn.MLP(2, width=256), event_shape=2),
    "score": lambda: pf.ScoreModel(pf.nn.MLP(2, width=64), "denoising-levels", event_shape=2),
    "flow": lambda: pf.NormalizingFlow.for_data(data(), width=256),
    "vae": lambda: pf.VAE.for_data(data(), width=256),
    "gan": lambda: pf.GAN.for_data(data(), width=256),
}


# Two steps are too few for chains, whatever the batch.
@pytest.mark.filterwarnings("ignore::pushforward.errors.ConvergenceWarning")
@pytest.mark.parametrize("name", MODELS)
def test_the_same_states_for_any_size_of_batch(name: str) -> None:
    torch.manual_seed(0)
    model = MODELS[name]().eval()
    options = model.understood("sample", steps=2)
    found = model.sample(N, seed=3, **options)
    assert found.shape == (N, 2)
    for size in (700, N):
        again = model.sample(N, seed=3, batch_size=size, **options)
        torch.testing.assert_close(found, again, rtol=1e-4, atol=1e-4)
    part = model.sample(N, seed=3, rows=slice(10_000, 11_000), **options)
    torch.testing.assert_close(found[10_000:11_000], part, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["flow matching", "diffusion"])
def test_what_a_network_gets_at_once_is_bounded(name: str) -> None:
    model, watched = watched_model(name)
    model.sample(N, seed=0, steps=2)
    few, watched.most = watched.most, 0
    model.sample(2 * N, seed=0, steps=2)
    assert watched.most == few < 5000
    watched.most = 0
    model.sample(300, seed=0, steps=2)
    assert watched.most == 300  # these need no thought
    model.sample(N, seed=0, steps=2, batch_size=N)
    assert watched.most == N


@pytest.mark.filterwarnings("ignore::pushforward.errors.ConvergenceWarning")
def test_chains_of_an_energy_are_cut_too() -> None:
    net = pf.nn.Perceptron(2, 1, width=256)
    model, watched = pf.EnergyModel(net, event_shape=2), Watched(net)
    found = model.sample(N, sampler="ula", steps=2, seed=0)
    assert watched.most < 10_000
    again = model.sample(N, sampler="ula", steps=2, seed=0, batch_size=N)
    assert watched.most == N
    torch.testing.assert_close(found, again, rtol=1e-4, atol=1e-4)
    watched.most = 0
    model.sample(N, steps=2, seed=0)
    assert watched.most < 10_000


def test_maps_are_cut_too() -> None:
    model, watched = watched_model("flow matching")
    z = torch.randn(N, 2, generator=torch.Generator().manual_seed(0))
    found = model.forward(z, steps=2)
    assert watched.most < 5000
    torch.testing.assert_close(found, model.forward(z, steps=2, batch_size=N), rtol=1e-4, atol=1e-4)


def test_the_size_follows_what_a_state_keeps() -> None:
    x = torch.zeros(100_000, 4)
    narrow, wide = (nn.Sequential(nn.Linear(4, k), nn.Tanh(), nn.Linear(k, 4)) for k in (64, 640))
    sizes = [batch_size.rows_at_once(net, x) for net in (narrow, wide)]
    assert 5 * sizes[1] < sizes[0] < 100_000
    assert batch_size.rows_at_once(wide, x[:100]) == 100
