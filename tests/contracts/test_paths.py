"""Every path between two laws: its ends, its slopes, its marginals, and what its dynamics carry."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pushforward import schedules
from pushforward._random import resolve
from pushforward.config import build, describe
from pushforward.errors import CapabilityError, InputError
from pushforward.processes import (
    Bridge,
    Interpolant,
    Linear,
    Motion,
    OneSided,
    OUBridge,
    Path,
    Scheduled,
    Trigonometric,
)
from pushforward.protocols import Transport
from pushforward.samplers import Euler, Heun, run
from pushforward.worlds import PairWorld

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
def test_a_path_starts_at_the_source_and_ends_at_the_target(name: str) -> None:
    world, n = PairWorld(-1.0, 2.0, COVARIANCE), 40_000
    x0, x1 = world.sample(n, seed=0)
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
    world = PairWorld(-1.0, 2.0, covariance)
    for t in (0.0, 0.2, 0.6, 1.0):
        x = path.sample(world.sample(n, seed=3), t, resolve(4))
        mean, variance = world.moments(path, t)
        assert float(x.mean()) == pytest.approx(mean, abs=4 * math.sqrt(variance / n) + 1e-6)
        assert float(x.var()) == pytest.approx(variance, abs=4 * variance * math.sqrt(2 / n))


def _exact(path: Path, world: PairWorld):
    """What `Motion` predicts for a pair of normal laws, from the predictions of the ends."""
    ends = world.model(path)

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
        process = Motion(path)
        x = torch.zeros(1, 1)
        with pytest.raises(CapabilityError, match="no score"):
            process.dynamics(x, x, 0.5).advance(x, 0.1, churn)
        return
    n = 20_000
    world = PairWorld(0.5, -0.5, 0.0 if name == "one-sided" else COVARIANCE)
    transport = Transport(_exact(path, world), Motion(path))
    times = [math.sin(0.5 * math.pi * k / 128) ** 2 for k in range(129)]
    times = times if forward else times[::-1]
    mean, variance = world.moments(path, times[0])
    start = mean + math.sqrt(variance) * torch.randn(n, 1, generator=resolve(5)).double()
    sampler = Heun() if churn == 0 else Euler(churn)
    end = run(sampler, transport, start, times, seed=6)
    mean, variance = world.moments(path, times[-1])
    # Four standard errors of n states, and what 128 steps of the first order cost.
    assert float(end.mean()) == pytest.approx(mean, abs=4 * math.sqrt(variance / n) + 0.01)
    assert float(end.var()) == pytest.approx(variance, abs=4 * math.sqrt(2 / n) + 0.02)


def test_the_sde_of_a_bridge_reproduces_the_coupling() -> None:
    # The bridge of the entropic coupling is Markov: with churn = 1 both ends keep their covariance,
    # which the ODE, a map of normal laws of one variance, cannot.
    path, n = Bridge(1.0), 40_000
    world = PairWorld.schroedinger(1.0)
    transport = Transport(_exact(path, world), Motion(path))
    times = [math.sin(0.5 * math.pi * k / 200) ** 2 for k in range(201)]
    start = torch.randn(n, 1, generator=resolve(0)).double()
    for sampler, covariance in ((Euler(1.0), world.covariance), (Heun(), 1.0)):
        end = run(sampler, transport, start, times, seed=1)
        found = torch.corrcoef(torch.cat([start, end], 1).mT)[0, 1]
        assert float(found) == pytest.approx(covariance, abs=0.02)


@pytest.mark.parametrize("name", PATHS)
def test_the_loss_of_a_motion_is_proper(name: str) -> None:
    path, n = PATHS[name], 20_000
    world = PairWorld(0.5, -0.5, 0.0 if name == "one-sided" else COVARIANCE)
    process, model = Motion(path), _exact(path, world)
    x0, x1 = (x.double() for x in world.sample(n, seed=0))
    noise = torch.randn(n, 1, generator=resolve(1)).double()
    z = (x0, x1, noise) if process.heads == 2 else (x0, x1)
    for t in (0.1, 0.7):
        x_t = process.sample(z, t)
        right = model(x_t, t)
        losses = [float(process.loss(f * right, z, x_t, t).mean()) for f in (0.8, 1.0, 1.2)]
        assert losses[1] < min(losses[0], losses[2])


def test_the_scale_divides_the_noise() -> None:
    plain, scaled = Motion(Bridge(1.0)), Motion(Bridge(3.0), scale=3.0)
    x, pred = torch.randn(5, 1, generator=resolve(0)), torch.ones(5, 2)
    for field in ("velocity", "score", "g2"):
        one, other = (getattr(m.dynamics(pred, x, 0.3), field) for m in (plain, scaled))
        assert torch.allclose(torch.as_tensor(one), torch.as_tensor(other))


def test_paths_are_checked_and_written_down() -> None:
    for make in (Linear, Trigonometric):
        with pytest.raises(InputError, match="sigma >= 0, not -1"):
            make(sigma=-1)
    with pytest.raises(InputError, match="epsilon"):
        OneSided(-1.0)
    for path in (Linear(0.5), Trigonometric(), Scheduled(schedules.Cosine(), 0.1), OneSided(2.0)):
        assert build(describe(path)) == path
    with pytest.raises(CapabilityError, match="start it from its source"):
        Motion(Linear()).prior((2,))
