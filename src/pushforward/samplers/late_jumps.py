"""Whether the last steps of a sampler make the jumps that they should."""

from __future__ import annotations

import warnings
from typing import Any

from pushforward.dynamics import double_jumps
from pushforward.errors import ConvergenceWarning

__all__ = ["late_weights", "watched"]

_LATE = 0.25
"""The share of the steps that is looked at. What earlier ones miss, later ones repair."""

_MOST = 0.05
"""The chance of a second jump in a step from which on samples are .06 and more in total variation
from their law, and .12 where such a site stays: measured on ordered, neighboring and unordered
symbols, 4 to 129 of them, with exact predictions."""


def late_weights(steps: int) -> list[float]:
    """What each step counts in a mean over the last quarter of them, zero before it.

    >>> late_weights(8)
    [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.5]
    """
    late = max(1, int(_LATE * steps))
    return [0.0] * (steps - late) + [1 / late] * min(late, steps)


def watched(memory: Any, dynamics: Any, h: float, churn: float, weight: float) -> Any:
    """What a sampler remembers of second jumps in its late steps, to be handed to the next one.

    A site that would jump several times in a step makes one jump at the most, and is short of where
    it should be. Warns after the last step if that is so for more than a twentieth of the sites on
    average: by then nothing repairs it.

    Args:
        memory: what the step before has returned, `()` at first.
        dynamics: of the step.
        h: its signed size.
        churn: its churn.
        weight: one of `late_weights`.
    """
    share = double_jumps(dynamics, h, churn)
    if share is None or not weight:
        return memory
    before, mean = memory or (0.0, 0.0)
    seen, mean = before + weight, mean + weight * share
    if seen < 1 - 1e-6:
        return seen, mean
    if float(mean) > _MOST:
        warnings.warn(
            f"{100 * float(mean):.0f}% of the sites would jump twice and more in each of the last "
            "steps, which make one jump at the most: samples are far from what the model says. "
            "Take sampler='pinned', which makes all of them at once, or many times the steps",
            ConvergenceWarning,
            stacklevel=4,
        )
    return ()
