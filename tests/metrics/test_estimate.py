"""How estimates print."""

from __future__ import annotations

import math

import pytest

from pushforward.metrics.estimate import Estimate


@pytest.mark.parametrize(
    ("value", "stderr", "text"),
    [
        (0.53121, 0.0123, "0.531 ± 0.012"),
        (-0.00031, 0.00042, "-0.00031 ± 0.00042"),
        (1234.5, 9.96, "1234 ± 10"),
        (88.123, 1.04, "88.1 ± 1.0"),
        (1.0, 0.0, "1"),
        (2.5, math.nan, "2.5"),
    ],
)
def test_two_digits_of_the_error(value: float, stderr: float, text: str) -> None:
    assert str(Estimate(value, stderr, n=10)) == text
