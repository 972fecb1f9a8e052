"""Numbers of any law as numbers of the normal law, by their quantiles: units for heavy tails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.errors import InputError

__all__ = ["QuantileUnits"]

_MOST = 129
_ROWS = 8  # at least so many for each knot, in the mean
_CLOSE = 1e-12  # knots closer than rounding would make lines as steep as walls

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class QuantileUnits:
    r"""The increasing map `z = Phi^{-1}(F(v))`, where `F` is near the distribution function.

    Piecewise linear in `v` between knots at equal steps of `z`, and beyond the last ones along the
    same lines, so that it has an inverse and a derivative everywhere.

    Args:
        values: the knots in the units of the data, increasing.
        scores: the normal scores of these, increasing.

    >>> units = QuantileUnits.fitted(np.exp(np.linspace(-3, 3, 2001)))
    >>> bool(np.allclose(units.value(units.score(np.array([0.1, 7.0]))), [0.1, 7.0]))
    True
    """

    values: tuple[float, ...]
    scores: tuple[float, ...]

    @classmethod
    def fitted(cls, values: Floats) -> QuantileUnits:
        """The map that makes some values normal, as far as the knots can follow.

        Raises `InputError` for values that are all the same, which have no scale.
        """
        ordered = np.sort(values.astype(np.float64))
        n = len(ordered)
        if n < 2 or ordered[0] == ordered[-1]:
            raise InputError("numbers that are all the same have no quantiles")
        # Equal steps of the score, and not of the probability: tails have knots too.
        law, count = NormalDist(), int(np.clip(n // _ROWS, 2, _MOST))
        scores = np.linspace(law.inv_cdf(0.5 / n), -law.inv_cdf(0.5 / n), count)
        levels = np.array([law.cdf(z) for z in scores])
        knots = np.quantile(ordered, levels, method="hazen")
        # Values that come often are several knots, which become one in the middle of these.
        apart = np.concatenate([[True], np.diff(knots) > _CLOSE * np.abs(knots).max()])
        group = np.cumsum(apart) - 1
        if group[-1] == 0:
            return cls((float(ordered[0]), float(ordered[-1])), (-1.0, 1.0))
        middle = np.bincount(group, scores) / np.bincount(group)
        return cls(tuple(knots[apart].tolist()), tuple(middle.tolist()))

    def score(self, values: Floats) -> Floats:
        """The normal scores of some values."""
        return _along(values, np.array(self.values), np.array(self.scores))

    def value(self, scores: Floats) -> Floats:
        """The values of some scores: the inverse of `score`."""
        return _along(scores, np.array(self.scores), np.array(self.values))

    def log_slope(self, values: Floats) -> Floats:
        """`log dz/dv` at some values, with which a density of scores becomes one of values."""
        knots, scores = np.array(self.values), np.array(self.scores)
        at = np.clip(np.searchsorted(knots, values, side="right") - 1, 0, len(knots) - 2)
        found: Floats = np.log(np.diff(scores)[at]) - np.log(np.diff(knots)[at])
        return found

    def describe(self) -> dict[str, Any]:
        """Plain values that YAML and JSON hold."""
        return {"values": list(self.values), "scores": list(self.scores)}

    @classmethod
    def from_description(cls, described: Mapping[str, Any]) -> QuantileUnits:
        """What `describe` described."""
        return cls(tuple(described["values"]), tuple(described["scores"]))


def _along(x: Floats, knots: Floats, heights: Floats) -> Floats:
    """The piecewise linear function through knots, continued along its first and last lines."""
    at = np.clip(np.searchsorted(knots, x, side="right") - 1, 0, len(knots) - 2)
    slope = np.diff(heights)[at] / np.diff(knots)[at]
    found: Floats = heights[at] + slope * (x - knots[at])
    return found
