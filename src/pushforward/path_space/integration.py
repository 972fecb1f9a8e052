"""Differential equations of moments, solved until more steps change nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward.errors import SamplingError

__all__ = ["Integral", "solved"]

_FIRST, _MOST = 16, 1 << 15
"""Steps to begin with, and steps after which no solution is expected."""


class Integral(NamedTuple):
    """The last component of a solution, and the estimate of its error."""

    value: float
    error: float


def solved(
    rate: Callable[[Tensor, float], Tensor], y: Tensor, start: float, stop: float, rtol: float
) -> Integral:
    """The last component of `y(stop)`, where `dy/ds = rate(y, s)`, `y` a vector in float64.

    By the classical method of Runge and Kutta with twice as many steps until the last two solutions
    agree to `rtol`, relative; what comes back is extrapolated from both.

    Raises `SamplingError` for a solution that is not finite or does not settle.
    """
    before: float | None = None
    steps = _FIRST
    while steps <= _MOST:
        value = _runge_kutta(rate, y, start, stop, steps)
        if before is not None:
            error = abs(value - before) / 15
            if error <= rtol * abs(value) + 1e-15:
                return Integral(value + (value - before) / 15, error)
        before, steps = value, 2 * steps
    raise SamplingError(
        f"the moments did not settle to {rtol:g} within {_MOST} steps from {start:g} to {stop:g} "
        f"(last value {before:g}): stay away from times where the drift or a rate is infinite"
    )


def _runge_kutta(
    rate: Callable[[Tensor, float], Tensor], y: Tensor, start: float, stop: float, steps: int
) -> float:
    h = (stop - start) / steps
    for k in range(steps):
        s = start + k * h
        # The last stage is at the end itself, which rounding must not leave.
        end = stop if k == steps - 1 else s + h
        first = rate(y, s)
        second = rate(y + 0.5 * h * first, s + 0.5 * h)
        third = rate(y + 0.5 * h * second, s + 0.5 * h)
        fourth = rate(y + h * third, end)
        y = y + h / 6 * (first + 2 * second + 2 * third + fourth)
        if not bool(torch.isfinite(y).all()):
            # Too few steps for a stiff equation: more of them decide.
            return float("inf")
    return float(y[-1])
