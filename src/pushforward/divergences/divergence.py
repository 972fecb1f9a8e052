"""A divergence with its error, its floor and what is known of its bias."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pushforward.metrics import Estimate

__all__ = ["Divergence"]


@dataclass(frozen=True)
class Divergence:
    """What a divergence is, or is estimated to be.

    Args:
        value: the divergence; infinite where that is proved.
        stderr: one standard error of it: 0 for closed forms, the bound of the numerical error for
            integrals.
        method: how it was found.
        bias: in which direction the value is off, beside the standard error; empty where it is not.
        floor: from samples, what the method gives for two samples of one distribution of the same
            sizes, the mean over random divisions of all points pooled; `None` for distributions.
        floor_spread: the standard deviation of what it gives there.
        floor_divisions: over how many divisions.
        n: how many states of each side it rests on, those of the smaller; `None` for none.
        converged: whether value and error can be trusted.

    >>> print(Divergence(0.5, 0.0, "closed form"))
    0.5 (closed form)
    >>> print(Divergence(0.53, 0.021, "5 nearest neighbors", "", 0.01, 0.02, 20, n=500))
    0.530 ± 0.021 (5 nearest neighbors of 500; floor 0.010 ± 0.020)
    """

    value: float
    stderr: float
    method: str
    bias: str = ""
    floor: float | None = None
    floor_spread: float = math.nan
    floor_divisions: int = 0
    n: int | None = None
    converged: bool = True

    @property
    def excess(self) -> float | None:
        """How far the value is above its floor, in standard errors of both; `None` without one."""
        if self.floor is None:
            return None
        spread = math.hypot(self.stderr, self.floor_spread)
        return (self.value - self.floor) / spread if spread > 0 else math.nan

    @property
    def floor_doubt(self) -> float:
        """How well the spread of the floor is known: its relative standard error, that of a
        standard deviation of normal numbers, `1 / sqrt(2 (divisions - 1))`; NaN without one.

        >>> Divergence(0.5, 0.1, "plan", "", 0.4, 0.1, 3, n=500).floor_doubt
        0.5
        """
        known = self.floor_divisions - 1
        return 1 / math.sqrt(2 * known) if known > 0 else math.nan

    def __str__(self) -> str:
        if self.n is None:
            # What is left of a numerical error is below what is printed, or said.
            doubt = "" if self.converged else " (not converged)"
            return f"{self.value:.6g}{doubt} ({self.method})"
        how = f"{self.method} of {self.n:,}"
        if self.floor is not None:
            how += f"; floor {Estimate(self.floor, self.floor_spread, 0)}"
        return f"{Estimate(self.value, self.stderr, 0, self.converged)} ({how})"
