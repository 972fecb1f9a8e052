"""The relative entropy of two distributions of paths, with its parts and its errors."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["PathEntropy"]


@dataclass(frozen=True)
class PathEntropy:
    """`KL(P | Q)` of two distributions of paths, in nats.

    Args:
        initial: that of the distributions at the first time.
        running: what is gathered along the paths.
        stderr: the standard error of their sum; zero where nothing is random.
        error: an estimate of the discretization error of their sum; zero where time is discrete.

    >>> print(PathEntropy(initial=0.5, running=1.0, stderr=0.01, error=0.002))
    PathEntropy: 1.5 ± 0.01 nats (initial 0.5, running 1), discretization error 0.002
    >>> print(PathEntropy(initial=0.5, running=1.0))
    PathEntropy: 1.5 nats (initial 0.5, running 1)
    """

    initial: float
    running: float
    stderr: float = 0.0
    error: float = 0.0

    @property
    def value(self) -> float:
        """The sum."""
        return self.initial + self.running

    @property
    def total_variation(self) -> float:
        """The bound of the total variation that follows: the smaller of those of Pinsker and of
        Bretagnolle & Huber (1979), `min(sqrt(KL / 2), sqrt(1 - exp(-KL)))`.

        >>> round(PathEntropy(0.0, 0.02).total_variation, 12)
        0.1
        """
        return min(math.sqrt(self.value / 2), math.sqrt(-math.expm1(-self.value)))

    def __str__(self) -> str:
        text = f"PathEntropy: {self.value:.6g}"
        text += f" ± {self.stderr:.2g} nats" if self.stderr else " nats"
        text += f" (initial {self.initial:.4g}, running {self.running:.4g})"
        return text + (f", discretization error {self.error:.2g}" if self.error else "")
