"""Steps along annealed densities: what they are without a network, and with the exact control."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from tests.learned_samplers.normal_targets import LOG_Z, normal_density, wild
from torch import Tensor, nn

from pushforward import mcmc
from pushforward.distributions import Normal
from pushforward.learned_samplers import (
    LOSSES,
    AnnealedPaths,
    ControlledMonteCarlo,
    Density,
    LangevinBridge,
    MonteCarloDiffusion,
    Normals,
    PathPair,
    simulate,
)
from pushforward.nn import SteeredMLP

MEAN = torch.tensor([0.4, -0.3], dtype=torch.float64)
ROWS = 20_000


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def untrained() -> nn.Module:
    return SteeredMLP(2, width=8, depth=1)


def even(pair: PathPair) -> Any:
    """Step sizes that are all the same."""
    assert isinstance(pair, AnnealedPaths)
    with torch.no_grad():
        pair.ladder.log_speeds.zero_()
    return pair


def uneven(pair: PathPair, by: float = 0.7) -> Any:
    """Temperatures and step sizes that are not those of a straight ladder."""
    noise = torch.Generator().manual_seed(0)
    assert isinstance(pair, AnnealedPaths)
    with torch.no_grad():
        for parameter in pair.ladder.parameters():
            parameter.add_(by * torch.randn(parameter.shape, generator=noise))
    return pair


# -- the ladder ---------------------------------------------------------------------------------


def test_temperatures_lead_from_the_start_to_the_target_on_any_grid() -> None:
    pair = uneven(LangevinBridge(pieces=5).build(2, 7, untrained)).double()
    for steps in (3, 7, 40):
        one = pair.on_grid(steps)
        found = one.temperature(torch.arange(steps + 1)).flatten()
        assert found[0].item() == 0
        assert found[-1].item() == pytest.approx(1, abs=1e-12)
        assert bool((found.diff() > 0).all())
        torch.testing.assert_close(found[2], one.temperature(2))
    # Time runs as fast on every grid.
    total = [pair.on_grid(k).length(torch.arange(k)).sum().item() for k in (200, 2000)]
    assert total[0] == pytest.approx(total[1], rel=1e-2)


def _weights(pair: PathPair, density: Density, n: int, generator: torch.Generator) -> Tensor:
    with torch.no_grad():
        return simulate(pair, density, n, generator=generator).log_weights


# -- without a network --------------------------------------------------------------------------


@pytest.mark.parametrize("make", [LangevinBridge, MonteCarloDiffusion])
def test_untrained_it_is_annealed_importance(make: Any, generator: torch.Generator) -> None:
    """The states of `mcmc.anneal` with `ULA`; its weights, and the Metropolis ratios of the steps,
    which are those of `MALA`."""
    steps = 12
    pair = uneven(make(scale=1.2, clip=50.0).build(2, steps, untrained)).double()
    density = normal_density(MEAN, 0.7)
    ours = simulate(pair, density, 50, generator=generator)
    again = torch.Generator().manual_seed(0)
    base = Normal((2,), 1.2)
    ladder = pair.temperature(torch.arange(steps + 1)).flatten().tolist()
    ladder[-1] = 1.0
    sizes = 2 * pair.length(torch.arange(steps)).flatten().detach()
    start = pair.start(50).sample(again)
    path = mcmc.anneal(
        mcmc.ULA(), density, base.log_prob, start, ladder, steps=sizes, generator=again
    )
    torch.testing.assert_close(ours.states[-1], path.x, rtol=1e-10, atol=1e-10)
    ratios = torch.zeros(50, dtype=torch.float64)
    for k in range(steps):

        def log_p(x: Tensor, beta: float = ladder[k + 1]) -> Tensor:
            return torch.lerp(base.log_prob(x), density(x), beta)

        before, after = (mcmc.evaluate(log_p, x.detach()) for x in ours.states[k : k + 2])
        h = sizes[k]
        there = (after.x - before.x - h / 2 * before.gradient).square().sum(1)
        back = (before.x - after.x - h / 2 * after.gradient).square().sum(1)
        ratios += after.log_p - before.log_p + (there - back) / (2 * h)
    torch.testing.assert_close(ours.log_weights, path.log_weights + ratios, rtol=1e-10, atol=1e-10)


def test_many_steps_are_annealed_importance_sampling_alone(generator: torch.Generator) -> None:
    """What the Metropolis ratios of the steps put into the weights goes to zero."""
    density = normal_density(MEAN, 0.7)

    @torch.no_grad()
    def left(steps: int) -> float:
        pair = even(LangevinBridge(horizon=4.0, clip=50.0).build(2, steps, untrained)).double()
        paths = simulate(pair, density, 2000, generator=generator)
        change = [density(x) - pair.start(2000).log_prob(x) for x in paths.states[:-1]]
        gains = pair.temperature(torch.arange(steps + 1)).diff(dim=0)
        return float((paths.log_weights - (gains * torch.stack(change)).sum(0)).std())

    # The ratio of a step is of the order h^(3/2); those of all 1 / h steps add up at random.
    assert left(80) < 0.35 * left(20)


# -- with what is best --------------------------------------------------------------------------


class _Control(nn.Module):
    """A control that is known, of states in the units of the start."""

    def __init__(self, control: Any) -> None:
        super().__init__()
        self.control = control

    def forward(self, x: Tensor, t: Tensor, feature: Tensor) -> Tensor:
        return self.control(x, t) + feature


@pytest.mark.parametrize("steps", [8, 16, 50])
def test_exact_control_of_a_shift_leaves_the_error_of_the_step(
    steps: int, generator: torch.Generator
) -> None:
    """Of `log w` it leaves `h / 4 (|r_0|^2 - |r_K|^2)`, with `r` the distance from the mean."""
    horizon = 2.0
    pair = ControlledMonteCarlo(horizon=horizon, clip=50.0)
    pair.build(2, steps, lambda: _Control(lambda x, t: (MEAN / horizon).expand_as(x))).double()
    even(pair)
    paths = simulate(pair, normal_density(MEAN, 1.0), 50, generator=generator)
    first, last = paths.states[0], paths.states[-1] - MEAN
    left = horizon / steps / 4 * (first.square() - last.square()).sum(1)
    torch.testing.assert_close(paths.log_weights, LOG_Z + left, rtol=1e-8, atol=1e-8)


def test_variance_of_weights_goes_to_zero_with_the_step(generator: torch.Generator) -> None:
    """For a law that narrows, by its exact control, the variance is of the order of the step."""
    std, horizon = 0.5, 3.0
    change = std**-2 - 1

    def control(x: Tensor, t: Tensor) -> Tensor:
        precision = 1 + (1 - t) * change
        return -change / (2 * precision * horizon)[..., None] * x

    def spread(steps: int, control: Any) -> float:
        pair = ControlledMonteCarlo(horizon=horizon, clip=50.0)
        even(pair.build(2, steps, lambda: _Control(control)))
        return float(_weights(pair.double(), normal_density(0 * MEAN, std), 2000, generator).var())

    coarse, fine = spread(64, control), spread(256, control)
    assert 3 < coarse / fine < 7
    # Without it the law lags behind, however small the steps are.
    assert spread(64, lambda x, t: 0 * x) > 0.4


def test_exact_score_makes_the_way_back_the_reversal(generator: torch.Generator) -> None:
    """Langevin steps lag behind what narrows, and their law is known at each."""
    std, horizon = 0.5, 4.0
    density = normal_density(0 * MEAN, std)

    def law(steps: int) -> Tensor:
        h, variance = horizon / steps, [1.0]
        for k in range(steps):
            precision = 1 + (k + 1) / steps * (std**-2 - 1)
            variance.append((1 - h * precision) ** 2 * variance[-1] + 2 * h)
        return torch.tensor(variance, dtype=torch.float64)

    class Score(nn.Module):
        def __init__(self, steps: int) -> None:
            super().__init__()
            self.steps, self.law = steps, law(steps)

        def forward(self, x: Tensor, t: Tensor, feature: Tensor) -> Tensor:
            return -x / self.law[((1 - t) * self.steps).round().long()][..., None]

    def spread(steps: int, net: nn.Module) -> float:
        pair = MonteCarloDiffusion(horizon=horizon, clip=50.0)
        even(pair.build(2, steps, lambda: net))
        return float(_weights(pair.double(), density, 2000, generator).var())

    coarse, fine = spread(100, Score(100)), spread(400, Score(400))
    assert fine < 0.2 * coarse
    assert spread(100, untrained()) > 2 * coarse
    # How far the law still is from the target when it ends, which no score can change.
    assert fine < 0.015 + (1 - float(law(400)[-1]) / std**2) ** 2


# -- faults that are planted --------------------------------------------------------------------


def _off(pair: PathPair, density: Density, generator: torch.Generator) -> float:
    """By how many standard errors the mean of `w / Z` is off one."""
    share = (_weights(pair, density, ROWS, generator) - LOG_Z).exp()
    return abs(float(share.mean()) - 1) / (float(share.std()) / math.sqrt(ROWS))


@pytest.mark.parametrize("make", [LangevinBridge, MonteCarloDiffusion, ControlledMonteCarlo])
def test_uneven_ladders_leave_the_mean_alone(make: Any, generator: torch.Generator) -> None:
    pair = uneven(make(horizon=1.0, clip=2.0).build(2, 8, wild(2))).double()
    assert _off(pair, normal_density(MEAN, 0.9, scale=0.8), generator) < 4


def test_weights_by_another_step_size_are_caught(generator: torch.Generator) -> None:
    """Draws by the size of one step and weighs by a larger one, that of a neighbor."""

    class Fault(ControlledMonteCarlo):
        def forward(self, k: Any, x: Tensor, density: Density) -> Any:
            drawn = super().forward(k, x, density)

            class Mixed:
                sample = staticmethod(drawn.sample)
                log_prob = staticmethod(Normals(drawn.mean, 1.1 * drawn.std).log_prob)

            return Mixed()

    pair = uneven(Fault(horizon=1.0).build(2, 8, wild(2))).double()
    assert _off(pair, normal_density(MEAN, 0.9), generator) > 8


def test_a_score_that_is_clipped_in_the_target_is_caught(generator: torch.Generator) -> None:
    """A weight that follows the clipped gradient along the path, in the place of the density."""

    class Fault(LangevinBridge):
        def end_log_prob(self, x: Tensor, density: Density) -> Tensor:
            anchor = MEAN.expand_as(x)
            middle = (x + anchor) / 2
            return density(anchor) + (self.target_gradient(middle, density) * (x - anchor)).sum(1)

    fine = LangevinBridge(clip=50.0).build(2, 8, untrained).double()
    density = normal_density(MEAN, 0.9)
    assert _off(fine, density, generator) < 4
    # For a normal law the middle gives the whole difference, unless it is clipped.
    assert _off(Fault(clip=50.0).build(2, 8, untrained).double(), density, generator) < 4
    assert _off(Fault(clip=0.5).build(2, 8, untrained).double(), density, generator) > 8


def test_a_control_with_the_same_sign_both_ways_is_no_control(generator: torch.Generator) -> None:
    """Its weights have the mean Z as well: what tells is the spread, which does not go away."""

    class Fault(ControlledMonteCarlo):
        def backward(self, k: Any, y: Tensor, density: Density) -> Normals:
            own, control = self._drift(k + 1, y, density)
            h = self.length(k)
            return Normals(y + h * (own + control), (2 * h).sqrt())

    def exact() -> nn.Module:
        return _Control(lambda x, t: (MEAN / 2).expand_as(x))

    density = normal_density(MEAN, 1.0)
    found = []
    for make in (ControlledMonteCarlo, Fault):
        pair = even(make(horizon=2.0, clip=50.0).build(2, 100, exact)).double()
        found.append(float(_weights(pair, density, 500, generator).std()))
    assert found[1] > 20 * found[0]


# -- learning -----------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", ["log-variance", "reverse-kl"])
@pytest.mark.parametrize("make", [LangevinBridge, MonteCarloDiffusion, ControlledMonteCarlo])
def test_everything_that_is_learned_has_a_gradient(
    make: Any, objective: str, generator: torch.Generator
) -> None:
    pair = uneven(make(pieces=3).build(2, 6, wild(2))).double()
    density = normal_density(MEAN, 0.7)
    LOSSES[objective](pair, density, 40, generator=generator).mean().backward()
    for name, parameter in pair.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.isfinite().all()), name
        assert float(parameter.grad.abs().max()) > 0, name


@pytest.mark.parametrize("make", [LangevinBridge, MonteCarloDiffusion, ControlledMonteCarlo])
def test_gradient_of_reverse_kl_is_that_of_differences(
    make: Any, generator: torch.Generator
) -> None:
    pair = uneven(make(pieces=3).build(2, 6, wild(2))).double()
    density = normal_density(MEAN, 0.7)

    def loss() -> Tensor:
        noise = torch.Generator().manual_seed(1)
        return LOSSES["reverse-kl"](pair, density, 20, generator=noise).mean()

    loss().backward()
    for parameter in pair.ladder.parameters():
        slope, eps = float(parameter.grad[1]), 1e-5
        found = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter[1] += sign * eps
                found.append(float(loss()))
                parameter[1] -= sign * eps
        assert slope == pytest.approx((found[0] - found[1]) / (2 * eps), rel=1e-5)
