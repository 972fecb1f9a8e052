"""Adjoint matching: the regression's minimizer is the control that is known."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from tests.learned_samplers.normal_targets import LOG_Z, Constant, normal_density, wild
from torch import Tensor

from pushforward.errors import CapabilityError
from pushforward.learned_samplers import (
    DenoisingDiffusion,
    MonteCarloDiffusion,
    PathIntegral,
    PathPair,
    adjoint_matching,
    simulate,
)

MEAN, STD, SCALE = torch.tensor([0.4, -0.3], dtype=torch.float64), 0.6, 1.2
ROWS = 20_000
MAKE = {
    "pis": lambda: PathIntegral(SCALE, clip=50.0),
    "dds": lambda: DenoisingDiffusion(SCALE, horizon=7.0, clip=50.0),
}


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _best(name: str, pair: PathPair, k: int) -> tuple[float, Tensor]:
    """The best control of step `k`, `a x + b`, for a normal target.

    `log(gamma / r)(y) = c y - e y^2 / 2` up to a constant, and given `x_k` the reference ends with
    `N(m x, s^2)`, `m` being also what is left of a push before the step; a push after it leaves
    `left`. So `h(x) = E exp(c Y - e Y^2 / 2)` and `u = sigma (left / m) d log h / dx`.
    """
    e, c = STD**-2 - SCALE**-2, MEAN / STD**2
    if name == "pis":
        m, variance, left = 1.0, SCALE**2 * (1 - float(pair._tables["before"][k])), 1.0
    else:
        kept = pair._tables["keep"]
        m, left = float(kept[k:].prod()), float(kept[k + 1 :].prod())
        variance = SCALE**2 * (1 - m**2)
    share = 1 / (1 + e * variance)
    return -SCALE * left * e * share * m, SCALE * left * share * c


@pytest.mark.parametrize("name", MAKE)
def test_minimizer_at_ends_of_the_target_is_the_best_control(
    name: str, generator: torch.Generator
) -> None:
    pair: Any = MAKE[name]().build(2, 12, wild(2)).double()
    density = normal_density(MEAN, STD)
    end = MEAN + STD * torch.randn(ROWS, 2, dtype=torch.float64, generator=generator)
    for k in (1, 6, 11):
        x = pair.bridged(k, end).sample(generator)
        pull = pair.pull(k, end, density)
        slope, level = _best(name, pair, k)
        design = torch.stack([x, torch.ones_like(x)], 2).transpose(0, 1)
        left = (pull - slope * x - level).T
        inverse = (design.mT @ design).inverse()
        off = (inverse @ design.mT @ left[..., None])[..., 0]
        error = (inverse.diagonal(dim1=1, dim2=2) * left.var(1, keepdim=True)).sqrt()
        # Four standard errors, and what rounding alone leaves where the pull has no spread.
        assert bool((off.abs() < 4 * error + 1e-9).all()), (k, off, error)


@pytest.mark.parametrize("name", MAKE)
def test_best_control_leaves_little_spread(name: str, generator: torch.Generator) -> None:
    """What it is the best of: with many steps the weights' spread is a tenth of that without."""
    pair: Any = MAKE[name]()

    def best(x: Tensor, t: Tensor) -> Tensor:
        slope, level = _best(name, pair, round((1 - float(t)) * pair.steps))
        return slope * SCALE * x + level

    density, spread = normal_density(MEAN, STD), []
    for control in (best, lambda x, t: 0 * x):
        pair.build(2, 200, lambda control=control: Constant(control)).double()
        weights = simulate(pair, density, 500, generator=generator).log_weights.detach()
        spread.append(float(weights.std()))
    assert spread[0] < 0.1 * spread[1]


@pytest.mark.parametrize("name", MAKE)
def test_training_from_its_own_ends_reaches_the_target(
    name: str, generator: torch.Generator
) -> None:
    pair = MAKE[name]()
    pair.build(2, 16, wild(2)).double()
    density, optimizer = normal_density(MEAN, STD), torch.optim.Adam(pair.parameters(), 1e-2)
    kept = torch.zeros(0, 2, dtype=torch.float64)
    for step in range(100):
        if step % 10 == 0:  # a buffer of ends, and no simulation between
            with torch.no_grad():
                fresh = simulate(pair, density, 128, generator=generator).states[-1]
            kept = torch.cat([kept, fresh])[-512:]
        rows = torch.randint(len(kept), (128,), generator=generator)
        loss = adjoint_matching(pair, density, 128, generator=generator, replay=kept[rows]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        found = simulate(pair, density, 4000, generator=generator)
    share = (found.log_weights - LOG_Z).exp()
    assert float(share.sum()) ** 2 / float(share.square().sum()) > 0.7 * 4000
    assert abs(float(share.mean()) - 1) < 4 * float(share.std()) / math.sqrt(4000)
    assert float((found.states[-1].mean(0) - MEAN).abs().max()) < 0.1


def test_no_path_is_simulated_where_ends_are_replayed(
    monkeypatch: pytest.MonkeyPatch, generator: torch.Generator
) -> None:
    from pushforward.learned_samplers import adjoint

    pair, density = PathIntegral().build(2, 5, wild(2)).double(), normal_density(MEAN, STD)
    ends = torch.zeros(8, 2, dtype=torch.float64)
    calls: list[int] = []
    real = adjoint.simulate

    def counted(pair: Any, density: Any, n: int, **options: Any) -> Any:
        calls.append(n)
        return real(pair, density, n, **options)

    monkeypatch.setattr(adjoint, "simulate", counted)
    assert adjoint_matching(pair, density, 8, generator=generator, replay=ends).shape == (8,)
    assert not calls
    assert adjoint_matching(pair, density, 8, generator=generator, replay=ends[:3]).shape == (8,)
    assert calls == [5]


def test_a_pull_without_what_is_left_of_it_is_caught(generator: torch.Generator) -> None:
    """Along the process that forgets, a push counts for what is left of it at the end."""

    class Fault(DenoisingDiffusion):
        def pull(self, k: Any, end: Tensor, density: Any) -> Tensor:
            return super().pull(k, end, density) / self.at("kept", k)

    k, end = torch.full((ROWS,), 3), MEAN + STD * torch.randn(ROWS, 2, generator=generator).double()
    density, off = normal_density(MEAN, STD), []
    for make in (DenoisingDiffusion, Fault):
        pair = make(SCALE, horizon=7.0, clip=50.0).build(2, 12, wild(2)).double()
        x = pair.bridged(k, end).sample(generator)
        slope, level = _best("dds", pair, 3)
        left = pair.pull(k, end, density) - slope * x - level
        off.append(float((left.mean(0) / left.std(0) * math.sqrt(ROWS)).abs().max()))
    assert off[0] < 4
    assert off[1] > 8


def test_a_method_without_bridges_is_refused_in_words(generator: torch.Generator) -> None:
    pair = MonteCarloDiffusion().build(2, 5, wild(2)).double()
    with pytest.raises(CapabilityError, match=r"MonteCarloDiffusion has none.*'pis' or 'dds'"):
        adjoint_matching(pair, normal_density(MEAN, STD), 8, generator=generator)
