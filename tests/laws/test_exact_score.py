"""The exact score of a training set makes the training set; stopped early, a kernel density."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pushforward import Transport, grids, metrics, samplers
from pushforward.analytic import AnalyticMixture
from pushforward.distributions import GaussianMixture
from pushforward.processes import Gaussian
from pushforward.schedules import VP
from pushforward.support import Hypersphere

N, DRAWN = 20, 1000
PROCESS = Gaussian(VP())
ANGLES = 2 * math.pi / N * torch.arange(N, dtype=torch.float64)
TRAIN = torch.stack([ANGLES.cos(), ANGLES.sin()], 1)
"""Farther from each other than the last noise: a sample ends at one of them."""

HELD_OUT = Hypersphere(1).sample(400, seed=2).double()


def _drawn(stop: float) -> Tensor:
    """States of the reverse process at some time, by the exact score of the training points."""
    model = AnalyticMixture(GaussianMixture(TRAIN, 1e-12)).model(PROCESS)
    grid = grids.LogSNRGrid()(PROCESS.schedule, 60, stop=stop)
    start = PROCESS.prior((2,), grid[0]).sample(DRAWN, seed=0).double()
    return samplers.run(samplers.Heun(), Transport(model, PROCESS), start, grid, seed=0)


def test_samples_are_training_points() -> None:
    stop = PROCESS.schedule.t_min
    model = AnalyticMixture(GaussianMixture(TRAIN, 1e-12)).model(PROCESS)
    x = model(_drawn(stop), stop)
    away = torch.cdist(x, TRAIN)
    assert away.amin(1).max() < 1e-6
    counts = torch.bincount(away.argmin(1), minlength=N)
    chi_squared = float((counts - DRAWN / N).square().sum() / (DRAWN / N))
    # Of 19 freedoms, four standard deviations above the mean: each point as often as any other.
    assert chi_squared < 19 + 4 * math.sqrt(2 * 19)
    assert metrics.memorization(x, HELD_OUT, TRAIN).value == 1
    assert metrics.near_copies(x, HELD_OUT, TRAIN).value == 1


@pytest.mark.parametrize("noise", [0.05, 0.3])
def test_stopped_early_they_are_draws_of_a_kernel_density(noise: float) -> None:
    clock = PROCESS.schedule
    stop = float(clock.time_at_log_snr(torch.tensor(-2 * math.log(noise), dtype=torch.float64)))
    x = _drawn(stop) / float(clock.values(stop)[0])
    density = GaussianMixture(TRAIN, noise**2)
    fresh = density.sample(DRAWN, seed=5)
    found, truth = density.log_prob(x), density.log_prob(fresh)
    error = math.hypot(float(found.std()), float(truth.std())) / math.sqrt(DRAWN)
    assert abs(float(found.mean() - truth.mean())) < 4 * error
    # Noise in all directions: sqrt(2 / pi) of it, off the circle.
    off = Hypersphere(1).distance(x).mean()
    assert float(off) == pytest.approx(noise * math.sqrt(2 / math.pi), rel=0.12)
