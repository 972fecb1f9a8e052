"""The seed of a run decides all that is random in it, what comes before the first step included."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward import energy_training, models

X = torch.randn(60, 2, generator=torch.Generator().manual_seed(0)) + 4
DATA = pf.data.Data(X, c=torch.arange(60) % 2)
PLAIN = pf.data.Data(X)
WIDE = pf.data.Data(torch.randn(60, 12, generator=torch.Generator().manual_seed(0)))


def _dropout_flow() -> Any:
    """A flow whose start, the scales of its `ActNorm` layers, depends on what is dropped."""
    made = pf.NormalizingFlow.for_data(DATA, kind="glow", labels=False, layers=2, width=8)
    flow = pf.NormalizingFlow(pf.transforms.Composed([pf.transforms.ActNorm(2), made.transform]))
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
    for part in list(flow.modules()):
        if hasattr(part, "activation"):
            part.activation = torch.nn.Sequential(part.activation, torch.nn.Dropout(0.5))
    return flow


MODELS: dict[str, tuple[Callable[[], Any], Any, Any]] = {
    "diffusion": (lambda: pf.Diffusion(pf.nn.MLP(2, width=8)), PLAIN, None),
    "flow matching": (lambda: pf.FlowMatching(pf.nn.MLP(2, width=8), coupling="ot"), X, X - 3),
    "noise as source": (
        lambda: pf.FlowMatching(pf.nn.MLP(2, width=8), coupling="ot"), X, None,
    ),
    "vamp": (lambda: pf.VAE.for_data(DATA, prior="vamp", width=8, latent=1), DATA, None),
    "flow": (lambda: pf.NormalizingFlow.for_data(DATA, kind="glow", width=8), DATA, None),
    "dropout": (_dropout_flow, PLAIN, None),
    "residual": (
        lambda: pf.NormalizingFlow.for_data(WIDE, kind="residual", width=8, layers=1), WIDE, None,
    ),
    "pcd": (
        lambda: pf.EnergyModel.for_data(
            DATA, training=energy_training.PersistentContrastiveDivergence(steps=1, size=64)
        ), DATA, None,
    ),
    "nce": (lambda: pf.EnergyModel.for_data(PLAIN), PLAIN, None),
    "score": (lambda: pf.ScoreModel.for_data(PLAIN), PLAIN, None),
    "gan": (lambda: pf.GAN.for_data(DATA, width=8), DATA, None),
    "mixture": (lambda: models.GaussianMixtureModel(2), PLAIN, None),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_a_run_does_not_depend_on_the_state_of_the_global_generator(name: str) -> None:
    make, data, source = MODELS[name]
    torch.manual_seed(0)
    start, found = make(), []
    for before, seed in ((1, 0), (2, 0), (2, 1)):
        torch.manual_seed(before)
        model = copy.deepcopy(start)
        state = torch.get_rng_state()
        pf.fit(
            model, data, source=source, seed=seed, steps=2, batch_size=16, progress=False, warmup=0
        )
        assert torch.equal(torch.get_rng_state(), state)
        found.append(model.state_dict())
    first, again, other = found
    for key, value in first.items():
        assert _equal(value, again[key]), key
    assert any(not _equal(value, other[key]) for key, value in first.items())


def _equal(a: torch.Tensor, b: torch.Tensor) -> bool:
    # An energy whose normalization is not known says NaN.
    return torch.allclose(a, b, rtol=0.0, atol=0.0, equal_nan=True)


class _Dropping(torch.nn.Module):
    """A network that drops most of what it computes."""

    def __init__(self) -> None:
        super().__init__()
        self.net = pf.nn.MLP(2, width=8)
        self.drop = torch.nn.Dropout(0.5)

    def forward(self, x: torch.Tensor, t: torch.Tensor, c: Any = None) -> torch.Tensor:
        return self.drop(self.net(self.drop(x), t))


def _trained(net: torch.nn.Module, seed: int) -> dict[str, torch.Tensor]:
    model = pf.Diffusion(copy.deepcopy(net))
    pf.fit(model, X, steps=60, seed=seed, progress=False)
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_runs_in_two_threads_give_what_each_gives_alone() -> None:
    torch.manual_seed(0)
    net = _Dropping()
    alone = [_trained(net, seed) for seed in (0, 1, 2)]
    before = torch.get_rng_state()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(3) as pool:
            together = list(pool.map(_trained, [net] * 3, (0, 1, 2)))
    finally:
        sys.setswitchinterval(interval)
    for one, other in zip(alone, together, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert torch.equal(torch.get_rng_state(), before)
