"""Orders of convergence on exact worlds: within 0.25 of theory, for every schedule and grid."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from pushforward import Transport, grids, samplers, schedules, spaces
from pushforward.distributions import GaussianMixture
from pushforward.processes import Gaussian
from pushforward.worlds import MixtureWorld

WORLD = MixtureWorld(
    GaussianMixture(torch.tensor([[1.5, -1.0], [-1.0, 0.5]], dtype=torch.float64), 0.49)
)
SCHEDULES = [
    schedules.VP(),
    schedules.Cosine(),
    schedules.Rectified(),
    schedules.OU(),
    schedules.VE(sigma_max=10.0),
]
ORDERS = {"euler": 1, "ddim": 1, "heun": 2, "dpm++2m": 2}
STOP = 0.05


def _error(process: Gaussian, name: str, grid: grids.Grid, steps: int, x, exact) -> float:
    transport = Transport(WORLD.model(process), process)
    times = grid(process.schedule, steps, stop=STOP)
    y = samplers.run(samplers.resolve(name), transport, x, times, seed=0)
    return float((y - exact).square().mean().sqrt())


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
def test_ode_samplers_reach_their_order(schedule: schedules.Schedule) -> None:
    process = Gaussian(schedule)
    x = WORLD.noised(process, schedule.t_max).sample(200, seed=1)
    fine = grids.LogSNR()(schedule, 3000, stop=STOP)
    exact = samplers.run(samplers.Heun(), Transport(WORLD.model(process), process), x, fine)
    for name, order in ORDERS.items():
        coarse, halved = (_error(process, name, grids.LogSNR(), n, x, exact) for n in (128, 256))
        assert math.log2(coarse / halved) == pytest.approx(order, abs=0.25), name


class _FixedNoise(spaces.Euclidean):
    """Noise that is one number, to read off how much of it a step adds."""

    def __init__(self, value: float) -> None:
        object.__setattr__(self, "value", value)

    def randn(self, x, generator=None):
        return torch.full_like(x, self.value)


@pytest.mark.parametrize("name", ["sde", "ddpm"])
def test_stochastic_samplers_have_weak_order_one(name: str) -> None:
    # For Gaussian data every step is `gain x + shift + std noise`, so the variance follows an exact
    # recursion and no Monte Carlo error blurs the order.
    world = MixtureWorld(GaussianMixture(torch.full((1, 1), 1.5, dtype=torch.float64), 0.49))
    sampler, schedule = samplers.resolve(name), schedules.VP()
    errors = []
    for steps in (128, 256):
        times = grids.LogSNR()(schedule, steps, stop=STOP)
        variance = float(world.noised(Gaussian(schedule), times[0]).covariance)
        for t, s in pairwise(times):
            quiet, noisy = (
                _one_step(world, Gaussian(schedule, _FixedNoise(value)), sampler, t, s)
                for value in (0.0, 1.0)
            )
            gain, std = quiet[1] - quiet[0], noisy[0] - quiet[0]
            variance = gain**2 * variance + std**2
        errors.append(abs(variance - float(world.noised(Gaussian(schedule), STOP).covariance)))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(1.0, abs=0.25)


def _one_step(world, process, sampler, t: float, s: float) -> list[float]:
    transport = Transport(world.model(process), process)
    x = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    return sampler.step(transport, sampler.init(x), t, s).x.flatten().tolist()
