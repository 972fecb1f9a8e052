"""How a batch is cut does not matter: noise belongs to rows, for every family."""

from __future__ import annotations

import copy
import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.families import OF_NUMBERS
from torch import Tensor, nn

import pushforward as pf
from pushforward import state
from pushforward._random import PartNoise, normal_like, probe_like, resolve
from pushforward.cli.recipe import read
from pushforward.data import Data
from pushforward.errors import InputError
from pushforward.processes import Jumps, Masking, WrightFisher
from pushforward.spaces import Tokens

SMALL: dict[str, dict[str, Any]] = {
    "diffusion": {"net": {"class": "mlp", "width": 8}},
    "vae": {"width": 8, "depth": 1},
    "flow": {"width": 8, "layers": 2},
    "gan": {"width": 8, "depth": 1},
}


def _rows(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


DATA = Data(_rows(40, 2))
LABELED = Data(_rows(40, 2), c=torch.arange(40) % 3)


TOKENS = Data(torch.arange(160).view(40, 4) ** 2 % 3)
CURVES = pf.data.load(_rows(40, 6).numpy(), kind="functions")
TABLE = pf.data.load(
    {"a": [f"{v:.2f}" for v in _rows(40, 1)[:, 0].tolist()], "b": ["x", "y", "z", "x"] * 10},
    kinds={"a": "number", "b": "category"},
)


def _tokens(process: Any) -> Any:
    net = pf.nn.TokenTransformer(3, width=8, depth=1, heads=2)
    return pf.Diffusion(net, process=process, event_shape=(4,))


def _named(name: str) -> Any:
    """The model that the command line would make, tiny."""
    recipe = read(None, {"data": "given", "model": {"class": name, **SMALL.get(name, {})}})
    return recipe.prepare(data=DATA).model


def _energy(training: Any, **options: Any) -> Any:
    return pf.EnergyModel(pf.nn.Perceptron(2, 1, width=8, **options), training)


def _gan(discrepancy: str, **options: Any) -> Any:
    return pf.GAN.for_data(DATA, width=8, depth=1, discrepancy=discrepancy, **options)


class Dropping(nn.Module):
    """A network with all that reads the global generator."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 16), nn.Linear(16, 2)
        self.drop, self.drop_channels = nn.Dropout(0.3), nn.Dropout1d(0.2)

    def forward(self, x: Tensor, t: Tensor, c: Any = None) -> Tensor:
        hidden = torch.tanh(self.first(torch.cat([x, t.unsqueeze(-1)], -1)))
        hidden = self.drop_channels(self.drop(hidden).view(-1, 4, 4)).flatten(1)
        return self.last(hidden + 0.1 * torch.rand_like(hidden))


class Own(pf.ScoreModel):
    """A loss that knows of no parts."""

    def loss(self, x: Tensor, c: Any = None, *, generator: Any = None) -> Tensor:  # type: ignore[override]
        return super().loss(x, c, generator=generator)


CASES: dict[str, tuple[Callable[[], Any], Data, bool]] = {
    **{name: ((lambda name=name: _named(name)), DATA, False) for name in OF_NUMBERS},
    "diffusion with dropout": (lambda: pf.Diffusion(Dropping()), DATA, False),
    "diffusion with labels": (
        lambda: pf.Diffusion(pf.nn.MLP(2, width=8, num_classes=3)),
        LABELED,
        False,
    ),
    "vae with labels and samples": (
        lambda: pf.VAE.for_data(LABELED, width=8, depth=1, samples=3),
        LABELED,
        False,
    ),
    "vae with free bits": (
        lambda: pf.VAE.for_data(DATA, width=8, depth=1, free_bits=0.1),
        DATA,
        True,
    ),
    "energy by persistent chains": (lambda: _energy("pcd"), DATA, True),
    "energy by persistent chains with labels": (
        lambda: _energy("pcd", num_classes=3),
        LABELED,
        True,
    ),
    "energy by chains from the data": (lambda: _energy("cd"), DATA, True),
    "energy by noise": (
        lambda: _energy(pf.energy_training.NoiseContrastive(ratio=3), num_classes=3),
        LABELED,
        False,
    ),
    **{
        f"energy by {name}": ((lambda name=name: _energy(name)), DATA, False)
        for name in ("denoising", "sliced", "sliced-vr", "implicit")
    },
    "score at one level": (
        lambda: pf.ScoreModel(pf.nn.Perceptron(2, (2,), width=8), "denoising"),
        DATA,
        False,
    ),
    **{
        f"gan by {name}": ((lambda name=name: _gan(name)), DATA, name not in ("wasserstein", "kl"))
        for name in ("wasserstein", "kl", "mmd", "learned-mmd", "energy", "sinkhorn")
    },
    "gan with spectral norm": (
        lambda: _gan("wasserstein", regularizer="spectral-norm", critic_steps=2),
        DATA,
        False,
    ),
    "a loss of one's own without rows": (
        lambda: Own(pf.nn.Perceptron(2, (2,), width=8), "denoising"),
        DATA,
        True,
    ),
    "residual flow": (lambda: pf.NormalizingFlow.for_data(DATA, kind="residual"), DATA, False),
    "tokens by masking": (lambda: _tokens(Masking(Tokens(3))), TOKENS, False),
    "tokens by jumps": (lambda: _tokens(Jumps(Tokens(3), "birth-death")), TOKENS, False),
    "compositions": (
        lambda: pf.Diffusion(pf.nn.MLP(3, width=8), process=WrightFisher(2.0)),
        Data(_rows(40, 3).softmax(-1)),
        False,
    ),
    "a table by kinds": (lambda: pf.models.TableDiffusion.for_data(TABLE), TABLE, False),
    "functions given values": (
        lambda: pf.models.FunctionDiffusion.for_data(
            CURVES, net=functools.partial(pf.nn.FourierOperator, width=8, depth=1)
        ),
        CURVES,
        False,
    ),
    "bridge by dsb": (
        lambda: pf.SchrodingerBridge(
            pf.nn.MLP(2, width=8), pf.nn.MLP(2, width=8), method="dsb", steps=4
        ),
        DATA,
        False,
    ),
}
"""Models, their data, and whether parts of a batch say that they save nothing."""


def _fitted(case: str, accumulate: int) -> Any:
    make, data, _ = CASES[case]
    torch.manual_seed(0)
    model = make().double()
    data = Data(state.to(data.x, dtype=torch.float64), c=data.c)
    settings: dict[str, Any] = {"steps": 4, "batch_size": 8, "warmup": 0, "log_every": 1}
    source = inspect.signature(model.loss).parameters.get("source")
    if source is not None and source.default is inspect.Parameter.empty:
        settings["source"] = _rows(30, 2, 7).double()
    run = pf.fit(model, data, holdout=0.0, accumulate=accumulate, progress=False, **settings)
    return model, [line["loss"] for line in run.history]


@pytest.mark.parametrize("case", CASES)
def test_how_a_batch_is_cut_does_not_matter(case: str) -> None:
    model, losses = _fitted(case, 1)
    for accumulate in (2, 4):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            other, others = _fitted(case, accumulate)
        assert (
            any("saves neither memory nor time" in str(w.message) for w in said) is CASES[case][2]
        )
        assert others == pytest.approx(losses, rel=1e-5)
        for (name, x), y in zip(
            model.state_dict().items(), other.state_dict().values(), strict=True
        ):
            assert torch.allclose(x, y, rtol=1e-6, atol=1e-8, equal_nan=True), name


def test_normalization_by_the_batch_is_named() -> None:
    net = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
    with pytest.warns(UserWarning, match="BatchNorm1d normalizes each part of a batch"):
        pf.fit(pf.ScoreModel(net), DATA, steps=1, batch_size=8, accumulate=2, progress=False)


def test_parts_of_a_stream_are_cut_out_of_it() -> None:
    whole, rows = resolve(seed=0), slice(2, 5)
    part = PartNoise(resolve(seed=0), 6, rows, "cpu")
    for kind in ("rademacher", "gaussian"):
        expected = probe_like(torch.zeros(6, 2), 3, whole, kind)[:, rows]
        assert torch.equal(probe_like(torch.zeros(3, 2), 3, part, kind), expected)
    assert torch.equal(
        normal_like(torch.zeros(3, 4), part), normal_like(torch.zeros(6, 4), whole)[rows]
    )
    with pytest.raises(InputError, match="noise of 3 rows"):
        normal_like(torch.zeros(4, 2), part)
    with pytest.raises(TypeError):
        torch.randn(3, generator=part)


def test_chains_of_a_batch_move_once_whatever_its_parts() -> None:
    """And again for the next batch, without being told."""
    start = _energy("pcd")
    start.fit_units(DATA.x)
    start.prepare(DATA.x, generator=resolve(seed=0))
    found = []
    for parts in ([slice(0, 8)], [slice(0, 4), slice(4, 8)], [slice(4, 8)]):
        model = copy.deepcopy(start)
        for seed in (1, 2):
            for part in parts:
                model.loss(DATA.x[:8], generator=resolve(seed=seed), rows=part)
        found.append(model.learning.chains)
    assert not torch.equal(found[0], start.learning.chains)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
