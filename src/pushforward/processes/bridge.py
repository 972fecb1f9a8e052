"""Bridges: paths between two distributions, pinned at both ends."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from torch import Tensor

from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.processes.path import Ends, Path
from pushforward.protocols import Time
from pushforward.spaces import Euclidean, LinearSpace

__all__ = ["Bridge", "OUBridge", "Reference", "Weights"]

_FASTEST = 20.0
"""Faster, a path forgets its start, and hyperbolic functions outgrow float32."""


class Weights(NamedTuple):
    """`keep x + gain end`, and the standard deviation of the noise, at one time."""

    keep: Any
    gain: Any
    std: Any


class Reference(Path):
    r"""The bridges of a linear reference `dx = -rate x dt + sigma dW` on `[0, 1]`.

    With the `span` `S(r)` of a stretch of time, `r` without a rate and `sinh(rate r) / rate` with
    one,

        a = S(1 - t) / S(1),  b = S(t) / S(1),  gamma^2 = sigma^2 S(t) S(1 - t) / S(1).

    All formulas are blind to the direction of time: what holds forward, towards `x_1`, holds
    backward towards `x_0`, with `r` the time that remains. The noise is that of the `space`.
    """

    sigma: float
    rate: float = 0.0

    def in_units(self, length: float) -> Reference:
        """The same with `sigma / length`."""
        return replace(self, sigma=self.sigma / length)  # type: ignore[type-var]

    @abstractmethod
    def span(self, r: Time) -> Any:
        """`S(r)`."""

    @abstractmethod
    def slope(self, r: Time) -> Any:
        """`S'(r)`."""

    @abstractmethod
    def decay(self, r: Time) -> Any:
        """What is left of the mean of the reference after a time: `exp(-rate r)`."""

    def ends(self, t: Time) -> Ends:
        """The bridge at time `t`."""
        whole, first, second = self.span(1.0), self.span(1 - t), self.span(t)
        one = t**0
        spread = first * second / whole
        gamma = self.sigma * spread**0.5
        # At the very ends the slope is infinite; there gamma is zero and no dynamics exist.
        rise = (self.slope(t) * first - self.slope(1 - t) * second) / whole
        slope = self.sigma * rise / (2 * spread**0.5) if _inside(spread) else one * 0
        return Ends(
            first / whole,
            second / whole,
            gamma,
            -self.slope(1 - t) / whole * one,
            self.slope(t) / whole * one,
            slope,
            one * self.sigma**2,
        )

    def drift_weights(self, remaining: Time) -> Weights:
        """The drift towards an end that is a time `remaining` away, `keep x + gain end`."""
        span = self.span(remaining)
        return Weights(-self.slope(remaining) / span, 1 / span, self.sigma)

    def pinned(self, remaining: Time, h: Time) -> Weights:
        """A step of length `h` towards an end that is a time `remaining` away, exact given the end.

        >>> keep, gain, std = Bridge(sigma=2.0).pinned(0.5, 0.25)
        >>> keep, gain, round(std, 4)
        (0.5, 0.5, 0.7071)
        """
        whole, step, rest = self.span(remaining), self.span(h), self.span(remaining - h)
        return Weights(rest / whole, step / whole, self.sigma * (step * rest / whole) ** 0.5)

    def end_variance(self, remaining: Time) -> Any:
        """The variance of the reference after a time, of the end given the state."""
        return self.sigma**2 * self.decay(remaining) * self.span(remaining)


@configurable
@dataclass(frozen=True)
class Bridge(Reference):
    r"""The Brownian bridge with diffusion `sigma`: `a = 1 - t`, `b = t`,
    `gamma^2 = sigma^2 t (1 - t)`.

    With `churn = 1` the forward drift is `(E[x_1 | x_t] - x) / (1 - t)` and the backward drift
    `(x - E[x_0 | x_t]) / t`: the Markovian projection of the mixture of bridges (Peluchetti 2023;
    Shi et al. 2023). Iterated with the coupling that it induces, it becomes the Schrödinger bridge.

    >>> import torch
    >>> pair = torch.zeros(1, 1), torch.ones(1, 1)
    >>> Bridge(sigma=1e-6).sample(pair, 0.25, torch.Generator().manual_seed(0)).round(decimals=3)
    tensor([[0.2500]])
    """

    sigma: float = 1.0
    space: LinearSpace = field(default_factory=Euclidean)

    def __post_init__(self) -> None:
        if not 0 < self.sigma < math.inf:
            raise InputError(f"a Brownian bridge needs sigma > 0, not {self.sigma}")

    def span(self, r: Time) -> Any:
        """`r`."""
        return r

    def slope(self, r: Time) -> Any:
        """One."""
        return r**0

    def decay(self, r: Time) -> Any:
        """One."""
        return r**0


@configurable
@dataclass(frozen=True)
class OUBridge(Reference):
    r"""The bridge of `dx = -rate x dt + sigma dW`, which pulls paths towards zero.

    `a = sinh(rate (1 - t)) / sinh(rate)`, `b = sinh(rate t) / sinh(rate)` and
    `gamma^2 = (sigma^2 / rate) sinh(rate t) sinh(rate (1 - t)) / sinh(rate)` (Barczy & Kern 2013).
    Paths between far ends take the way through the middle, where the reference likes to be; as the
    rate goes to zero it is the Brownian `Bridge`.

    >>> import torch
    >>> pair = torch.full((1, 1), 2.0), torch.full((1, 1), 2.0)
    >>> path = OUBridge(sigma=1e-6, rate=2.0)
    >>> path.sample(pair, 0.5, torch.Generator().manual_seed(0)).round(decimals=3)
    tensor([[1.2960]])
    """

    sigma: float = 1.0
    rate: float = 1.0
    space: LinearSpace = field(default_factory=Euclidean)

    def __post_init__(self) -> None:
        if not 0 < self.sigma < math.inf:
            raise InputError(f"an Ornstein-Uhlenbeck bridge needs sigma > 0, not {self.sigma}")
        if not 0 < self.rate <= _FASTEST:
            raise InputError(
                f"the rate of an Ornstein-Uhlenbeck bridge lies in (0, {_FASTEST:g}], not "
                f"{self.rate}: without a rate it is processes.Bridge"
            )

    def span(self, r: Time) -> Any:
        """`sinh(rate r) / rate`."""
        product = self.rate * r
        return (product.sinh() if isinstance(product, Tensor) else math.sinh(product)) / self.rate

    def slope(self, r: Time) -> Any:
        """`cosh(rate r)`."""
        product = self.rate * r
        return product.cosh() if isinstance(product, Tensor) else math.cosh(product)

    def decay(self, r: Time) -> Any:
        """`exp(-rate r)`."""
        product = -self.rate * r
        return product.exp() if isinstance(product, Tensor) else math.exp(product)


def _inside(spread: Time) -> bool:
    return isinstance(spread, Tensor) or spread > 0
