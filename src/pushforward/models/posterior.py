"""Posterior distributions: one object for a prior with a likelihood, and for a trained network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from pushforward import estimates
from pushforward.errors import CapabilityError
from pushforward.estimates import LogProb

__all__ = ["Exactness", "Posterior"]


@dataclass(frozen=True)
class Exactness:
    """How far the draws of a posterior can be trusted, if the model is right.

    Args:
        level: `exact`, `asymptotically exact` in a number that can be raised, `approximate`, or
            `learned`: as good as a network that was trained on pairs.
        reason: what is approximated, in a sentence.

    >>> print(Exactness("approximate", "a Gaussian approximation"))
    approximate (a Gaussian approximation)
    """

    level: Literal["exact", "asymptotically exact", "approximate", "learned"]
    reason: str

    def __str__(self) -> str:
        return f"{self.level} ({self.reason})"


class Posterior(ABC):
    """The distribution of states given a measurement `y`, in data units.

    `y` is one measurement, or a batch of `m` of them: draws are then `(n, m, *event)`, and those of
    one measurement do not depend on the others.
    """

    exactness: Exactness
    """How far its draws can be trusted, given that the model is right."""
    method: str
    """What draws them: a short name of `pushforward list posteriors`, or `amortized`."""
    cost: str
    """What a draw costs, in words."""

    @abstractmethod
    def sample(self, *args: Any, **options: Any) -> Tensor:
        """`sample(n, *, seed=None, ...)`: `n` draws, `(n, *event)`, or `(n, m, *event)` for a batch
        of measurements. The options are the method's own."""

    def mean(
        self, n: int = 64, *, seed: int | None = None, **options: Any
    ) -> tuple[Tensor, Tensor]:
        """The mean of `n` draws and its standard error, of the shape of a draw.

        The options are those of `sample`.
        """
        return estimates.mean(self.sample(n, seed=seed, **options))

    def log_prob(self, x: Tensor, **options: Any) -> LogProb:
        """The log-density of states given `y`, in nats.

        Raises `CapabilityError` for a posterior that has none.
        """
        raise CapabilityError(
            "draws of a guided model have no density: the guided prediction is that of no "
            "distribution that noise is added to, so that its probability flow does not end in "
            "its draws; log_likelihood(x) and the model's own log_prob(x) have one each, and their "
            "sum is the posterior up to a constant"
        )

    def log_evidence(self, **options: Any) -> LogProb:
        """`log p(y)` in nats with its error. Raises `CapabilityError` for a method without one."""
        raise CapabilityError(
            "this method weighs no draws, so that it has no estimate of log p(y): take "
            "method='tds', twisted sequential Monte Carlo"
        )

    @abstractmethod
    def log_likelihood(self, x: Tensor) -> Tensor:
        """`log p(y | x)` of draws `(n, *event)`, or `(n, m, *event)`, in nats, `(n,)` or `(n, m)`.

        Raises `CapabilityError` where no likelihood is known.
        """

    @abstractmethod
    def consistency(self, x: Tensor) -> Tensor:
        """How far draws are from the measurement: the root mean square of `y - A(x)` in units of
        the noise, about 1 for a true state; relative to the root mean square of `y` where there is
        no noise. `(n,)` or `(n, m)`. Raises `CapabilityError` where no operator is known."""
