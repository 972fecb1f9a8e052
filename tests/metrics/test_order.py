"""Observed orders of methods whose order is known."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import linregress

from pushforward.errors import InputError
from pushforward.metrics.order import observed_order

STEPS = [16, 32, 64, 128, 256]


def test_exact_powers() -> None:
    estimate = observed_order(STEPS, [7 * n**-1.5 for n in STEPS])
    assert estimate.value == pytest.approx(1.5)
    assert estimate.stderr == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize(
    ("factor", "order"), [(lambda h: 1 - h, 1), (lambda h: 1 - h + h * h / 2, 2)]
)
def test_euler_and_heun(factor, order: int) -> None:
    errors = [abs(factor(1 / n) ** n - math.exp(-1)) for n in STEPS]
    assert observed_order(STEPS, errors).value == pytest.approx(order, abs=0.05)


def test_agrees_with_scipy() -> None:
    noise = torch.randn(5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    errors = torch.tensor(STEPS, dtype=torch.float64) ** -2 * (0.1 * noise).exp()
    fit = linregress([math.log(n) for n in STEPS], errors.log().tolist())
    estimate = observed_order(torch.tensor(STEPS), errors)
    assert estimate.value == pytest.approx(-fit.slope)
    assert estimate.stderr == pytest.approx(fit.stderr)


def test_two_points_have_no_error_bar() -> None:
    estimate = observed_order([1, 2], [1.0, 0.25])
    assert estimate.value == pytest.approx(2.0)
    assert math.isnan(estimate.stderr)


@pytest.mark.parametrize(
    ("steps", "errors", "words"),
    [
        ([1, 2], [1.0], "one length"),
        ([8, 8], [1.0, 0.5], "two different"),
        ([], [], "two different"),
        ([1, 2], [1.0, 0.0], "errors must be positive and finite.*0"),
        ([0, 2], [1.0, 0.1], "steps must be positive"),
        ([1, 2], [1.0, math.nan], "nan"),
    ],
)
def test_refused(steps, errors, words: str) -> None:
    with pytest.raises(InputError, match=words):
        observed_order(steps, errors)
