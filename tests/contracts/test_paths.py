"""Every path of pairs: its ends, its slopes, its marginals, and what its dynamics carry."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pushforward import schedules
from pushforward._random import resolve
from pushforward.analytic import AnalyticPair
from pushforward.config import build, describe
from pushforward.errors import CapabilityError, InputError
from pushforward.processes import (
    Bridge,
    Interpolant,
    Linear,
    OneSided,
    OUBridge,
    Path,
    Scheduled,
    StochasticInterpolant,
    Trigonometric,
)
from pushforward.protocols import Transport
from pushforward.samplers import Euler, Heun, run

PATHS: dict[str, Path] = {
    "linear": Linear(),
    "noisy-linear": Linear(sigma=math.sqrt(2)),
    "trigonometric": Trigonometric(),
    "noisy-trigonometric": Trigonometric(sigma=0.7),
    "scheduled": Scheduled(),
    "noisy-scheduled": Scheduled(sigma=0.5),
    "cosine": Scheduled(schedules.Cosine()),
    "bridge": Bridge(0.8),
    "ou-bridge": OUBridge(0.8, 1.5),
    "interpolant": Interpolant(lambda t: (1 - t**2, t**3, t * (1 - t))),
    "one-sided": OneSided(),
}
NOISY = [name for name, path in PATHS.items() if path.ends(0.5).gamma > 0]
COVARIANCE = 0.3


@pytest.mark.parametrize("name", [n for n in PATHS if n != "one-sided"])
def test_a_path_has_the_target_at_zero_and_the_source_at_one(name: str) -> None:
    problem, n = AnalyticPair(-1.0, 2.0, COVARIANCE), 40_000
    x0, x1 = problem.sample(n, seed=0)
    for t, end in ((0.0, x0), (1.0, x1)):
        found = PATHS[name].sample((x0, x1), t, resolve(1))
        # What a variance preserving schedule leaves of the other end is exp(-5.025).
        assert torch.allclose(found, end, atol=0.05 if "scheduled" in name else 1e-4), t


@pytest.mark.parametrize("name", PATHS)
def test_slopes_are_those_of_the_weights(name: str) -> None:
    path, h = PATHS[name], 1e-6
    for t in (0.05, 0.4, 0.9):
        k, later, before = path.ends(t), path.ends(t + h), path.ends(t - h)
        for weight, slope in (("a", "d_a"), ("b", "d_b"), ("gamma", "d_gamma")):
            difference = (getattr(later, weight) - getattr(before, weight)) / (2 * h)
            assert getattr(k, slope) == pytest.approx(difference, abs=1e-6)
    many = path.ends(torch.tensor([0.05, 0.4, 0.9], dtype=torch.float64))
    for found, single in zip(many, path.ends(0.4), strict=True):
        assert float(found[1]) == pytest.approx(single, abs=1e-12)


@pytest.mark.parametrize("name", PATHS)
def test_marginals_are_those_of_the_pair(name: str) -> None:
    path, n = PATHS[name], 40_000
    covariance = 0.0 if name == "one-sided" else COVARIANCE
    problem = AnalyticPair(-1.0, 2.0, covariance)
    for t in (0.0, 0.2, 0.6, 1.0):
        x = path.sample(problem.sample(n, seed=3), t, resolve(4))
        mean, variance = problem.moments(path, t)
        assert float(x.mean()) == pytest.approx(mean, abs=4 * math.sqrt(variance / n) + 1e-6)
        assert float(x.var()) == pytest.approx(variance, abs=4 * variance * math.sqrt(2 / n))


def _exact(path: Path, problem: AnalyticPair):
    """What a `StochasticInterpolant` predicts for normal pairs, from those of the ends."""
    ends = problem.model(path)

    def model(x: Tensor, t: float, c=None) -> Tensor:
        t = min(max(t, 1e-3), 1 - 1e-3)
        k, (first, second) = path.ends(t), ends(x, t)
        motion = k.d_a * first + k.d_b * second
        if k.gamma == 0:
            return motion
        return torch.cat([motion, (x - k.a * first - k.b * second) / k.gamma], 1)

    return model


@pytest.mark.parametrize("churn", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("forward", [True, False], ids=["forward", "backward"])
@pytest.mark.parametrize("name", PATHS)
def test_exact_velocities_carry_one_end_to_the_other(
    name: str, forward: bool, churn: float
) -> None:
    path = PATHS[name]
    if churn and name not in NOISY:
        process = StochasticInterpolant(path)
        x = torch.zeros(1, 1)
        with pytest.raises(CapabilityError, match="no score"):
            process.dynamics(x, x, 0.5).advance(x, 0.1, churn)
        return
    n = 20_000
    problem = AnalyticPair(0.5, -0.5, 0.0 if name == "one-sided" else COVARIANCE)
    transport = Transport(_exact(path, problem), StochasticInterpolant(path))
    times = [math.sin(0.5 * math.pi * k / 128) ** 2 for k in range(129)]
    times = times[::-1] if forward else times
    mean, variance = problem.moments(path, times[0])
    start = mean + math.sqrt(variance) * torch.randn(n, 1, generator=resolve(5)).double()
    sampler = Heun() if churn == 0 else Euler(churn)
    end = run(sampler, transport, start, times, seed=6)
    mean, variance = problem.moments(path, times[-1])
    # Four standard errors of n states, and what 128 steps of the first order cost.
    assert float(end.mean()) == pytest.approx(mean, abs=4 * math.sqrt(variance / n) + 0.01)
    assert float(end.var()) == pytest.approx(variance, abs=4 * math.sqrt(2 / n) + 0.02)


def test_the_sde_of_a_bridge_reproduces_the_coupling() -> None:
    # The bridge of the entropic coupling is Markov: with churn = 1 both ends keep their covariance,
    # which the ODE, a map of normal distributions of one variance, cannot.
    path, n = Bridge(1.0), 40_000
    problem = AnalyticPair.schrodinger(1.0)
    transport = Transport(_exact(path, problem), StochasticInterpolant(path))
    times = [math.cos(0.5 * math.pi * k / 200) ** 2 for k in range(201)]
    start = torch.randn(n, 1, generator=resolve(0)).double()
    for sampler, covariance in ((Euler(1.0), problem.covariance), (Heun(), 1.0)):
        end = run(sampler, transport, start, times, seed=1)
        found = torch.corrcoef(torch.cat([start, end], 1).mT)[0, 1]
        assert float(found) == pytest.approx(covariance, abs=0.02)


@pytest.mark.parametrize("name", PATHS)
def test_the_loss_is_proper(name: str) -> None:
    path, n = PATHS[name], 20_000
    problem = AnalyticPair(0.5, -0.5, 0.0 if name == "one-sided" else COVARIANCE)
    process, model = StochasticInterpolant(path), _exact(path, problem)
    x0, x1 = (x.double() for x in problem.sample(n, seed=0))
    z = (x0, x1)
    for t in (0.1, 0.7):
        x_t = process.sample(z, t, resolve(1))
        right = model(x_t, t)
        losses = [float(process.loss(f * right, z, x_t, t).mean()) for f in (0.8, 1.0, 1.2)]
        assert losses[1] < min(losses[0], losses[2])


@pytest.mark.parametrize("name", [n for n in PATHS if n != "one-sided"])
def test_noise_in_the_units_of_the_data_is_divided_by_their_length(name: str) -> None:
    # Pairs that are three times as long, and their points, divided by three.
    process, n = StochasticInterpolant(PATHS[name]), 2000
    pair = AnalyticPair(-1.0, 2.0, COVARIANCE).sample(n, seed=0)
    long = tuple(3 * end for end in pair)
    for t in (0.1, 0.6):
        x = process.sample(long, t, resolve(1)) / 3
        assert torch.allclose(process.in_units(3.0).sample(pair, t, resolve(1)), x, atol=1e-5)
        # Its drift of any churn is that of the long path, divided.
        if process.heads == 2:
            pred = torch.randn(n, 2, generator=resolve(2))
            own, whole = process.in_units(3.0).dynamics(pred, x, t), process.dynamics(pred, x, t)
            assert whole.g2 == pytest.approx(9 * own.g2)
            assert torch.allclose(3 * own.g2 * own.score, whole.g2 * whole.score, rtol=1e-4)


@pytest.mark.parametrize(
    "path", [Linear(), Trigonometric(), Scheduled(schedules.Rectified())], ids=str
)
def test_a_path_without_noise_has_a_velocity_at_any_time(path: Path) -> None:
    pred = (torch.full((3, 2), 2.0), torch.full((3, 2), 5.0))
    x = torch.randn(3, 2, generator=resolve(0))
    for t in (0.0, 0.3, 1.0):
        h = 1e-6 if t < 0.5 else -1e-6
        (a, b), (later_a, later_b) = path.ends(t)[:2], path.ends(t + h)[:2]
        expected = torch.full((3, 2), (2 * (later_a - a) + 5 * (later_b - b)) / h)
        for time in (t, torch.tensor(t), torch.full((3,), t)):
            flow = path.dynamics(pred, x, time)
            assert torch.allclose(flow.velocity, expected, rtol=1e-3), (t, time)
        with pytest.raises(CapabilityError, match="no score"):
            _ = flow.score


def test_a_noisy_path_has_no_score_at_its_ends() -> None:
    x, pred = torch.zeros(2, 1), (torch.ones(2, 1), torch.ones(2, 1))
    for t in (0.0, 1.0):
        with pytest.raises(InputError, match=f"no noise at t = {t}: keep the grid inside"):
            Bridge(0.5).dynamics(pred, x, t)
        # Velocity and noise as the prediction are regular there.
        flow = StochasticInterpolant(Bridge(0.5)).dynamics(torch.ones(2, 2), x, t)
        assert bool(flow.velocity.isfinite().all())


def test_churn_one_gives_the_drifts_of_both_directions() -> None:
    # Of a bridge: towards the source (E[x_1] - x) / (1 - t), towards the target (E[x_0] - x) / t.
    path, t, x = Bridge(0.8), 0.3, torch.tensor([[0.4]], dtype=torch.float64)
    first, second = torch.tensor([[2.0]]).double(), torch.tensor([[-1.0]]).double()
    flow = path.dynamics((first, second), x, t)
    half = 0.5 * 0.8**2 * flow.score
    assert torch.allclose(flow.velocity + half, (second - x) / (1 - t))
    assert torch.allclose(-flow.velocity + half, (first - x) / t)


def test_paths_are_checked_and_written_down() -> None:
    for make in (Linear, Trigonometric):
        with pytest.raises(InputError, match="sigma >= 0, not -1"):
            make(sigma=-1)
    with pytest.raises(InputError, match="epsilon"):
        OneSided(-1.0)
    for path in (Linear(0.5), Trigonometric(), Scheduled(schedules.Cosine(), 0.1), OneSided(2.0)):
        assert build(describe(path)) == path
    with pytest.raises(CapabilityError, match="start it from samples of the source"):
        Linear().prior((2,))
