"""What a distribution of vectors says of its support."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from pushforward.transforms import Bijection

__all__ = ["Supported", "bounds_remain", "without_bounds"]


@runtime_checkable
class Supported(Protocol):
    """A distribution that says what its support is."""

    @property
    def unconstrained(self) -> Bijection | None:
        """From vectors without bounds to the support; `None` if there are no bounds."""


def without_bounds(distribution: Any) -> Bijection | None:
    """The map from vectors without bounds to the support; `None` if there is no such map.

    >>> from pushforward.distributions import Box, Normal
    >>> without_bounds(Normal((1,))) is None, type(without_bounds(Box([0.0], [1.0]))).__name__
    (True, 'NormalScores')
    """
    return distribution.unconstrained if isinstance(distribution, Supported) else None


def bounds_remain(distribution: Any) -> bool:
    """Whether vectors may lie outside of the support. One that does not say may have any.

    >>> from pushforward.distributions import Box, Normal
    >>> bounds_remain(Normal((1,))), bounds_remain(Box([0.0], [1.0])), bounds_remain(object())
    (False, True, True)
    """
    return not isinstance(distribution, Supported) or distribution.unconstrained is not None
