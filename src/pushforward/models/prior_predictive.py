"""Is a measurement one that a model expects? Misspecification, seen before anything is drawn."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from pushforward._shapes import flatten
from pushforward.errors import CapabilityError
from pushforward.inverse import LinearOperator, Measurement

__all__ = ["PriorPredictive"]

DRAWS = 64

_FAR = 4.0
"""How many times farther out than any of the draws is far: with one measured number, some 5
standard deviations."""

_DEVIATIONS = 5.0


class PriorPredictive:
    """A measurement beside those of draws of the prior (Box 1980).

    Args:
        draw: makes so many draws of the model, in its own units.
        measurement: in the same units.
    """

    def __init__(self, draw: Callable[[int], Tensor], measurement: Measurement) -> None:
        self._draw, self._measurement = draw, measurement
        self._found: list[str] | None = None

    def doubts(self) -> list[str]:
        """What is wrong with the measurement, in sentences; found once."""
        if self._found is None:
            self._found = [*self._misfits(), *self._outliers()]
        return self._found

    @property
    def _rows(self) -> Tensor:
        """The measurements, `(m, *observed)`."""
        y = self._measurement.y
        return y if self._measurement.batched else y.unsqueeze(0)

    def _misfits(self) -> list[str]:
        r"""Whether some state gives the measurement.

        For Gaussian noise `|y - A A^+ y|^2` in units of the noise has a mean of `m - r` and a
        variance of twice that, for a rank `r`, whatever the state.
        """
        operator, y = self._measurement.operator, self._rows
        if not isinstance(operator, LinearOperator):
            return []
        try:
            svd = operator.svd(self._measurement.event_shape)
        except CapabilityError:
            return []
        free = y[0].numel() - len(svd.values)
        if free == 0:
            return []
        left = flatten(y - svd.fitted(y))
        spread = flatten(self._measurement.noise.spread(y))
        least = 1e-4 * flatten(y).abs().amax(1, keepdim=True) + 1e-30
        chi2 = (left / torch.maximum(spread, least)).square().sum(1)
        far = chi2 > free + _DEVIATIONS * math.sqrt(2 * free)
        if not bool(far.any()):
            return []
        worst = float((chi2 / free).sqrt().max())
        return [
            f"no state gives {_which(far)}: what is left of it by the best fit is {worst:.3g} "
            "times the noise, where 1 is expected; see whether the operator is the one that made "
            "y, and the level of the noise"
        ]

    def _outliers(self) -> list[str]:
        """Whether the measurement lies among those of draws.

        By the mean square of `(y - mean) / deviation` over its numbers, with mean and deviation of
        the other draws, each of which is judged in the same way.
        """
        with torch.no_grad():
            clean = self._measurement.clean(self._draw(DRAWS))
        if not bool(clean.isfinite().all()):
            return ["draws of the model give measurements that are not finite"]
        drawn = flatten(clean)
        noise = flatten(self._measurement.noise.spread(clean)).square()
        # Leave one out: sums without the row itself.
        n = len(drawn) - 1
        mean = (drawn.sum(0) - drawn) / n
        square = (drawn.square().sum(0) - drawn.square()) / n - mean.square()
        variance = square.clamp(min=0) + noise + _tiny(drawn)
        usual = ((drawn - mean).square() / variance).mean(1).max().clamp(min=1.0)
        whole = drawn.var(0) + noise.mean(0) + _tiny(drawn)
        own = ((flatten(self._rows).to(drawn) - drawn.mean(0)).square() / whole).mean(1)
        far = own > _FAR * usual
        if not bool(far.any()):
            return []
        return [
            f"{_which(far)} lies far outside what this model expects to measure: "
            f"{float(own.max().sqrt()):.3g} standard deviations from its mean on average over its "
            f"numbers, and {float(usual.sqrt()):.3g} for the farthest of {DRAWS} draws. Draws "
            "given it are extrapolation; see whether y has the units of the data, and whether the "
            "operator is the one that made it"
        ]


def _tiny(drawn: Tensor) -> Tensor:
    """Rounding of the numbers."""
    return (1e-5 * drawn.abs().max()).square() + 1e-30


def _which(far: Tensor) -> str:
    if len(far) == 1:
        return "y"
    first = int(far.int().argmax())
    return f"{int(far.sum())} of {len(far)} measurements, the first of them {first},"
