"""What a network of functions says of the points and values that it takes."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from torch import Tensor

__all__ = ["AtPoints", "OnAnyGrid", "TakesGaps"]


@runtime_checkable
class OnAnyGrid(Protocol):
    """A network that takes states on any grid of its domain, as `nn.FourierOperator` does."""

    any_grid: bool


@runtime_checkable
class AtPoints(Protocol):
    """A network that can be had at any points of its domain, as `nn.PointAttention` can."""

    def at(self, points: Tensor) -> Any:
        """The same network at other points `(M, d)`, in units of the domain."""


@runtime_checkable
class TakesGaps(Protocol):
    """A network that says whether it takes functions with missing values, NaN."""

    masked: bool
