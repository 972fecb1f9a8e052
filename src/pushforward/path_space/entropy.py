"""The relative entropy of two distributions of paths, with its parts and its errors."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["PathEntropy", "total_variation_bound"]


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
        """The bound of the total variation that follows: `total_variation_bound`."""
        return total_variation_bound(self.value)

    def __str__(self) -> str:
        text = f"PathEntropy: {self.value:.6g}"
        text += f" ± {self.stderr:.2g} nats" if self.stderr else " nats"
        text += f" (initial {self.initial:.4g}, running {self.running:.4g})"
        return text + (f", discretization error {self.error:.2g}" if self.error else "")


def total_variation_bound(kl: float) -> float:
    """The smaller of the bounds of Pinsker, `sqrt(KL / 2)`, and of Bretagnolle & Huber (1979),
    `sqrt(1 - exp(-KL))`; 0 for an estimate below 0.

    >>> total_variation_bound(0.02), round(total_variation_bound(3.0), 3)
    (0.1, 0.975)
    >>> total_variation_bound(-1e-9)
    0.0
    """
    kl = max(kl, 0.0)
    return min(math.sqrt(kl / 2), math.sqrt(-math.expm1(-kl)))
