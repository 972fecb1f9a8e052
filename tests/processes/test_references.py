"""Bridges of linear references: their drifts, steps and limits in closed form."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward.analytic import AnalyticPair
from pushforward.errors import InputError
from pushforward.processes import Bridge, OUBridge

REFERENCES = [Bridge(0.7), OUBridge(0.7, rate=0.4), OUBridge(1.3, rate=3.0)]


def _both(reference: Bridge | OUBridge, t: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The forward and the backward drift that the velocity and the score of a path imply."""
    x, first, last = torch.tensor([[[0.3]], [[-1.0]], [[2.0]]], dtype=torch.float64)
    flow = reference.dynamics((first, last), x, t)
    half = 0.5 * reference.sigma**2 * flow.score
    return flow.velocity + half, half - flow.velocity


@pytest.mark.parametrize("reference", REFERENCES, ids=str)
@pytest.mark.parametrize("t", [0.02, 0.5, 0.9])
def test_the_drifts_of_a_path_are_those_of_doob(reference: Bridge | OUBridge, t: float) -> None:
    # The forward drift of a mixture of bridges is the reference's plus sigma^2 grad log p(x_1 | x):
    # it looks at the end ahead only, and so does the backward drift.
    x, first, last = 0.3, -1.0, 2.0
    for found, end, remaining in zip(_both(reference, t), (last, first), (1 - t, t), strict=True):
        rate = getattr(reference, "rate", 0.0)
        keep = math.exp(-rate * remaining)
        variance = reference.sigma**2 * remaining
        if rate:
            variance = reference.sigma**2 * -math.expm1(-2 * rate * remaining) / (2 * rate)
        doob = -rate * x + reference.sigma**2 * keep * (end - keep * x) / variance
        assert float(found) == pytest.approx(doob, rel=1e-9)
        weights = reference.drift_weights(remaining)
        assert weights.keep * x + weights.gain * end == pytest.approx(doob, rel=1e-9)
        assert reference.end_variance(remaining) == pytest.approx(variance, rel=1e-9)


@pytest.mark.parametrize("reference", REFERENCES, ids=str)
def test_pinned_steps_compose_and_give_the_law_of_the_path(reference: Bridge | OUBridge) -> None:
    # From the start over any times in between, the moments given both ends are those of `ends`.
    weight, gain, variance, at = 1.0, 0.0, 0.0, 0.0
    for t in (0.1, 0.35, 0.6, 0.95):
        step = reference.pinned(1 - at, t - at)
        weight, gain = step.keep * weight, step.keep * gain + step.gain
        variance, at = step.keep**2 * variance + step.std**2, t
        k = reference.ends(t)
        assert (weight, gain, variance) == pytest.approx((k.a, k.b, k.gamma**2), rel=1e-9)


@pytest.mark.parametrize("reference", REFERENCES, ids=str)
def test_a_small_pinned_step_is_the_drift_and_the_diffusion(reference: Bridge | OUBridge) -> None:
    h, remaining = 1e-6, 0.6
    step, drift = reference.pinned(remaining, h), reference.drift_weights(remaining)
    assert (step.keep - 1) / h == pytest.approx(drift.keep, rel=1e-4)
    assert step.gain / h == pytest.approx(drift.gain, rel=1e-4)
    assert step.std**2 / h == pytest.approx(reference.sigma**2, rel=1e-4)


def test_without_a_rate_it_is_the_brownian_bridge() -> None:
    brownian, slow = Bridge(0.9), OUBridge(0.9, rate=1e-4)
    for t in (0.01, 0.4, 0.99):
        assert list(slow.ends(t)) == pytest.approx(list(brownian.ends(t)), abs=1e-7)
        assert slow.end_variance(t) == pytest.approx(brownian.end_variance(t), rel=1e-3)


@pytest.mark.parametrize("rate", [0.0, 2.0])
def test_the_plan_of_a_reference_has_its_interaction(rate: float) -> None:
    # The off-diagonal of the inverse covariance is that of the reference, and only it: the
    # potentials of a plan depend on one end each.
    problem = AnalyticPair.schrodinger(0.8, rate=rate)
    c = problem.covariance
    reference = OUBridge(0.8, rate) if rate else Bridge(0.8)
    assert c / (1 - c**2) == pytest.approx(reference.decay(1.0) / reference.end_variance(1.0))


def test_parameters_out_of_range_are_refused() -> None:
    for sigma in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(InputError, match="sigma > 0"):
            OUBridge(sigma)
    for rate in (0.0, -1.0, 21.0, math.nan):
        with pytest.raises(InputError, match="rate of an Ornstein-Uhlenbeck bridge"):
            OUBridge(1.0, rate)
