"""Iterations end, and say so where they end without a result."""

from __future__ import annotations

import warnings

import pytest
import torch

from pushforward import Transport, samplers, schedules
from pushforward._roots import increasing_root
from pushforward.analytic import AnalyticMixture
from pushforward.errors import ConvergenceError, ConvergenceWarning, SamplingError
from pushforward.processes import Gaussian
from pushforward.samplers.adaptive import solve
from pushforward.spaces._sphere_heat import sample_angle


def _transport() -> Transport:
    process = Gaussian(schedules.VP())
    return Transport(AnalyticMixture.ring().model(process), process)


@pytest.mark.parametrize("rule", [samplers.DormandPrince, samplers.AdaptiveSDE])
def test_an_adaptive_sampler_keeps_to_its_budget(rule) -> None:
    """A hundred evaluations are too few for this tolerance; over several intervals they add up."""
    calls = 0
    transport = _transport()

    def counted(x, t, c=None):
        nonlocal calls
        calls += 1
        return transport.model(x, t)

    counting = Transport(counted, transport.process)
    x = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    tight = rule(1e-8, 1e-8, max_evaluations=100)
    for grid in ([1.0, 1e-3], [1.0, 0.5, 1e-3]):
        calls = 0
        with pytest.raises(SamplingError, match=r"spent its .* evaluations.*max_evaluations="):
            samplers.run(tight, counting, x, grid)
        assert 50 < calls <= 101
    calls = 0
    samplers.run(rule(1e-2, 1e-2), counting, x, [1.0, 1e-3])
    assert 10 < calls < 1000


def test_a_tolerance_below_the_resolution_is_named() -> None:
    """Rounding is an error that no step is short enough for."""
    x = torch.ones(1, 2)
    with pytest.raises(SamplingError, match="float32 resolves no more than 1e-07: take double"):
        solve(lambda x, t: 1e3 * torch.sin(1e5 * x), x, 0.0, 1.0, rtol=1e-12, atol=1e-12)


def test_a_root_that_is_not_there_is_not_returned() -> None:
    low, high = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    target = torch.tensor([0.2, float("nan"), 0.4], dtype=torch.float64)
    with pytest.raises(ConvergenceError, match="no root was found for 1 of 3 entries"):
        increasing_root(lambda t: t - target, low, high)


def test_steps_on_the_sphere_of_no_variance_end() -> None:
    generator = torch.Generator().manual_seed(0)
    assert sample_angle(torch.tensor([0.01, 0.02]), generator).isfinite().all()
    # A negative variance has no angles either, and passes for a small one.
    with pytest.raises(SamplingError, match=r"2 of 2 steps.*not a number"):
        sample_angle(torch.tensor([-0.01, -0.02]), generator)


def test_a_schedule_that_is_too_rough_says_so() -> None:
    with pytest.warns(ConvergenceWarning, match="too rough for"):
        schedules.LinearSDE(lambda t: -1 - torch.sin(1e6 * t), lambda t: 1 + t)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        schedules.LinearSDE(lambda t: -2 * t, lambda t: torch.where(t < 0.3, 1.0, 2.0) + t)
