"""A number with its standard error."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Estimate"]


@dataclass(frozen=True)
class Estimate:
    """An estimated number and one standard error of it.

    Args:
        value: the estimate.
        stderr: its standard error; NaN where too few numbers were given to have one.
        n: how many numbers it rests on.
        converged: whether number and error can be trusted.

    >>> print(Estimate(0.5312, 0.0123, n=2000))
    0.531 ± 0.012
    >>> print(Estimate(0.5312, 0.0123, n=2000, converged=False))
    0.531 ± 0.012 (not converged)
    """

    value: float
    stderr: float
    n: int
    converged: bool = True

    def __str__(self) -> str:
        return self._digits() + ("" if self.converged else " (not converged)")

    def _digits(self) -> str:
        if self.stderr > 0:
            # Two digits of the error, and as many of the value as the error leaves meaning to.
            digits = max(1 - int(f"{self.stderr:.1e}".partition("e")[2]), 0)
            # Adding zero turns a rounded -0 into 0.
            return f"{round(self.value, digits) + 0.0:.{digits}f} ± {self.stderr:.{digits}f}"
        return f"{self.value:.4g}"
