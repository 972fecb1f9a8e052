"""What samplers draw with guided models, beside the exact posterior or the bias of theory.

For normal data all predictions are affine in the state, `E = G_t x + b_t`, so that the mean and the
covariance of what a sampler draws follow from a recursion, step by step.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from pushforward import Transport, guidance, samplers, schedules
from pushforward.grids import LogSNRGrid

DRAWS, FEWER = 20_000, 3_000


def _draw(world, model, steps: int, draws: int = DRAWS) -> torch.Tensor:
    times = [*LogSNRGrid()(world.process.schedule, steps), 0.0]
    x = world.process.prior((3,), times[0]).sample(draws, seed=1).double()
    transport = Transport(model, world.process)
    with torch.no_grad():
        return samplers.run(samplers.Ancestral(), transport, x, times, seed=0)


def _errors(x: torch.Tensor, mean: torch.Tensor, covariance: torch.Tensor) -> torch.Tensor:
    """Differences of moments from those of a normal distribution, in standard errors."""
    n = len(x)
    variances = covariance.diagonal()
    spread = (covariance.square() + variances.outer(variances)) / n
    moments = [(x.mean(0) - mean) / (variances / n).sqrt()]
    pairs = torch.triu_indices(3, 3)
    gaps = (x.mT.cov() - covariance) / spread.sqrt()
    return torch.cat([*moments, gaps[pairs[0], pairs[1]]])


@pytest.mark.slow
@pytest.mark.parametrize("schedule", [schedules.VP(), schedules.Rectified()])
def test_mmps_draws_from_the_posterior_of_normal_data(normal_world, schedule) -> None:
    world = normal_world(schedule)
    model = guidance.MMPS(world.model, world.process, world.measurement)
    exact = world.prior.posterior(world.matrix, world.y, world.noise.diagonal())
    errors = _errors(_draw(world, model, 1000, FEWER), exact.mean, exact.covariance)
    assert errors.abs().max() < 3


def _recursion(world, affine, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and covariance of ancestral draws with the prediction `x @ G.T + b` of `affine(t)`."""
    times = [*LogSNRGrid()(world.process.schedule, steps), 0.0]
    mean = torch.zeros(3, dtype=torch.float64)
    covariance = world.process.schedule.at(times[0]).sigma ** 2 * torch.eye(3, dtype=torch.float64)
    for t, s in pairwise(times):
        kernel = world.process.pinned(t, s)
        slope, offset = affine(t)
        step = kernel.keep * torch.eye(3, dtype=torch.float64) + kernel.gain * slope
        mean = step @ mean + kernel.gain * offset
        covariance = step @ covariance @ step.mT + (kernel.std or 0.0) ** 2 * torch.eye(3)
    return mean, covariance


def _guided(world, method):
    """The affine prediction of a method, written out for normal data."""
    a, noise, eye = world.matrix, world.noise, torch.eye(3, dtype=torch.float64)

    def affine(t):
        alpha, sigma = world.process.schedule.values(t)
        offset, covariance = world.given(torch.zeros(1, 3, dtype=torch.float64), t)
        slope = alpha / sigma**2 * covariance
        if method == "pigdm":
            within = a @ a.mT * sigma**2 / (alpha**2 + sigma**2)
            gain = covariance @ a.mT @ torch.linalg.inv(within + noise)
        elif method == "tmpd":
            within = torch.diag((a @ covariance @ a.mT).sum(1).clamp(min=0))
            gain = covariance @ a.mT @ torch.linalg.inv(within + noise)
        else:
            flat = sigma**2 / alpha**2
            gain = flat * a.mT @ torch.linalg.inv(flat * a @ a.mT + noise)
        left = eye - gain @ a
        return left @ slope, left @ offset[0] + gain @ world.y

    return affine


METHODS = {"pigdm": guidance.PiGDM, "tmpd": guidance.TMPD, "diffpir": guidance.DiffPIR}


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_the_bias_of_other_methods_is_what_theory_says(normal_world, method: str) -> None:
    world, steps = normal_world(), 60
    mean, covariance = _recursion(world, _guided(world, method), steps)
    model = METHODS[method](world.model, world.process, world.measurement)
    errors = _errors(_draw(world, model, steps), mean, covariance)
    assert errors.abs().max() < 3.5
    # And it is a bias: the same recursion with many steps is far from the posterior.
    mean, covariance = _recursion(world, _guided(world, method), 2000)
    exact = world.prior.posterior(world.matrix, world.y, world.noise.diagonal())
    apart = torch.cat([(mean - exact.mean), (covariance - exact.covariance).flatten()])
    assert apart.abs().max() > 0.03


@pytest.mark.slow
def test_guided_draws_belong_to_their_rows(normal_world) -> None:
    world = normal_world()
    times = LogSNRGrid()(world.process.schedule, 20)
    model = guidance.MMPS(world.model, world.process, world.measurement)
    x = world.process.prior((3,), times[0]).sample(1024, seed=1).double()
    transport = Transport(model, world.process)
    whole = samplers.run(samplers.Ancestral(), transport, x, times, seed=0)
    for n in (1, 64):
        part = samplers.run(samplers.Ancestral(), transport, x[:n], times, seed=0)
        assert torch.allclose(part, whole[:n], rtol=1e-9, atol=1e-10)
