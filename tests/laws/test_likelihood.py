"""Likelihoods by the probability-flow ODE against exact densities."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import pushforward as pf
from pushforward import Transport, grids, samplers, schedules
from pushforward.analytic import AnalyticFunctions, AnalyticMixture
from pushforward.distributions import GaussianMixture
from pushforward.errors import InputError
from pushforward.processes import Gaussian

SCHEDULES = [schedules.VP(), schedules.Cosine(), schedules.Rectified(), schedules.OU()]


def _grid(schedule: schedules.Schedule, steps: int) -> list[float]:
    return grids.LogSNRGrid()(schedule, steps)[::-1]


def _mixture(dim: int = 2) -> AnalyticMixture:
    generator = torch.Generator().manual_seed(1)
    means = torch.randn(3, dim, generator=generator, dtype=torch.float64)
    return AnalyticMixture(GaussianMixture(means, 0.3))


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
def test_exact_divergence_gives_the_exact_density(schedule: schedules.Schedule) -> None:
    problem, process = _mixture(), Gaussian(schedule)
    grid = _grid(schedule, 200)
    x = problem.noised(process, grid[0]).sample(50, seed=0)
    # The exact law at the grid's last time, so that nothing but the integration is tested.
    final = problem.noised(process, grid[-1])
    transport = Transport(problem.model(process), process)
    result = samplers.log_prob(transport, final, x, grid, divergence="exact")
    exact = problem.noised(process, grid[0]).log_prob(x)
    assert result.kind == "ode"
    assert (result.value - exact).abs().max() < 1e-4
    assert result.stderr.max() == 0
    assert (result.value - exact).abs().mean() < result.error.mean()


def test_the_error_has_order_three_after_extrapolation() -> None:
    problem, process = _mixture(), Gaussian(schedules.VP())
    x = problem.data.sample(50, seed=0)
    exact = problem.noised(process, process.schedule.t_min).log_prob(x)
    errors = []
    for steps in (64, 128):
        grid = _grid(process.schedule, steps)
        final = problem.noised(process, grid[-1])
        found = samplers.log_prob(Transport(problem.model(process), process), final, x, grid)
        errors.append(float((found.value - exact).square().mean().sqrt()))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(3.0, abs=0.25)


def test_hutchinson_is_unbiased_with_an_honest_error() -> None:
    problem, process = _mixture(16), Gaussian(schedules.VP())
    grid = _grid(process.schedule, 60)
    x = problem.data.sample(60, seed=0)
    final = problem.noised(process, grid[-1])
    transport = Transport(problem.model(process), process)
    exact = samplers.log_prob(transport, final, x, grid, divergence="exact").value
    found = samplers.log_prob(transport, final, x, grid, divergence="hutchinson", probes=32, seed=0)
    z = (found.value - exact) / found.stderr
    # One probe is shared by no two states, so the z-scores are independent.
    assert abs(float(z.mean())) < 4 / math.sqrt(60)
    assert float(z.std()) == pytest.approx(1.0, abs=0.3)
    fewer = samplers.log_prob(transport, final, x, grid, divergence="hutchinson", probes=8, seed=1)
    assert float(fewer.stderr.mean() / found.stderr.mean()) == pytest.approx(2.0, rel=0.25)


def test_functions_have_the_density_of_their_process() -> None:
    problem = AnalyticFunctions.on_grid(8)
    process = problem.process(schedules.VP())
    grid = _grid(process.schedule, 200)
    x = problem.noised(process, grid[0]).sample(20, seed=0)
    prior = process.prior((8,), grid[-1])
    found = samplers.log_prob(Transport(problem.model(process), process), prior, x, grid)
    exact = problem.noised(process, grid[0]).log_prob(x)
    assert (found.value - exact).abs().max() < 0.1


class _Exact(nn.Module):
    """The exact posterior mean of standardized data, as a network."""

    def __init__(self, problem: AnalyticMixture, schedule: schedules.Schedule) -> None:
        super().__init__()
        self.problem, self.schedule = problem, schedule

    def forward(self, x, t, c=None):
        flat = self.problem.data.posterior_mean(x.flatten(1), *self.schedule(t))
        return flat.reshape(x.shape)


def test_the_family_counts_the_change_of_units() -> None:
    # Data N(3, 4) per entry of a 1 x 2 x 2 image: standardized it is N(0, 1), whose network is
    # known; the density in data units follows.
    schedule = schedules.VP()
    problem = AnalyticMixture.gaussian(0.0, 1.0, dim=4)
    model = pf.Diffusion(_Exact(problem, schedule), Gaussian(schedule), predict="data")
    x = 3 + 2 * torch.randn(4000, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    model.fit_units(x)
    exact = (
        torch.distributions.Normal(model.units.shift, model.units.scale)
        .log_prob(x[:20])
        .flatten(1)
        .sum(-1)
    )
    for divergence in ("exact", "hutchinson"):
        found = model.log_prob(x[:20], divergence=divergence, steps=100, seed=0, batch_size=7)
        assert torch.allclose(found.value, exact, atol=0.02)
    samples = model.sample(4000, sampler="heun", steps=50, seed=0)
    assert float(samples.mean()) == pytest.approx(3.0, abs=0.08)
    assert float(samples.std()) == pytest.approx(2.0, abs=0.08)


def test_bad_requests_are_refused() -> None:
    problem, process = _mixture(), Gaussian(schedules.VP())
    transport = Transport(problem.model(process), process)
    even = [0.1, 0.3, 0.5, 0.7, 0.9]
    x, prior = problem.data.sample(3, seed=0), process.prior((2,))
    with pytest.raises(InputError, match="from data to prior"):
        samplers.log_prob(transport, prior, x, [0.9, 0.1])
    for odd in ([0.1, 0.9], [0.1, 0.3, 0.5, 0.9]):
        with pytest.raises(InputError, match="even number of steps"):
            samplers.log_prob(transport, prior, x, odd)
    with pytest.raises(InputError, match="divergence is"):
        samplers.log_prob(transport, prior, x, even, divergence="approximate")
    with pytest.raises(InputError, match="probes is a whole number of at least 2"):
        samplers.log_prob(transport, prior, x, even, divergence="hutchinson", probes=1)
