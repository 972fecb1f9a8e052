"""Coordinates of hyperbolic space: the ball of Poincaré, and the upper half-space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.spaces.coordinates.system import Counted, Where

__all__ = ["HalfSpace", "PoincareBall"]


@dataclass(frozen=True)
class _OfHyperbolic(Counted):
    """As many numbers as the space has dimensions.

    Args:
        many: how many there are.
    """

    many: int | None = None

    kind: ClassVar[str]

    @property
    def short(self) -> str:
        """The kind."""
        return self.kind

    def words(self, names: tuple[str, ...]) -> str:
        """Names and kind."""
        return f"{', '.join(names)} ({self.kind})"


@configurable
@dataclass(frozen=True)
class PoincareBall(_OfHyperbolic):
    r"""Points `b` of the open unit ball, `x = (1 + |b|^2, 2 b) / (1 - |b|^2)` in the Lorentz model.

    Angles are right, and the center is the origin; its disk in two dimensions.

    >>> PoincareBall().states(torch.tensor([[0.5, 0.0]]))
    tensor([[1.6667, 1.3333, 0.0000]])
    """

    kind = "poincare-ball"

    def sized(self, size: int) -> PoincareBall:
        """So many numbers."""
        return PoincareBall(size)

    def check(self, table: Tensor, where: Where) -> None:
        """Inside the ball."""
        length = torch.linalg.vector_norm(table, dim=1)
        bad = ~(length < 1)
        if bool(bad.any()):
            i = int(bad.nonzero()[0])
            raise InputError(
                f"{where.row(i)} has ({', '.join(where.names)}) of length {float(length[i]):.4g}: "
                "points of the ball of Poincaré are shorter than 1, and its edge is infinitely far "
                f"away; {int(bad.sum()):,} of {len(table):,} rows break this"
            )

    def states(self, table: Tensor) -> Tensor:
        """Points of the Lorentz model."""
        square = table.square().sum(1, keepdim=True)
        return torch.cat([1 + square, 2 * table], 1) / (1 - square)

    def numbers(self, x: Tensor) -> Tensor:
        """Points of the ball."""
        x = x.double()
        return x[:, 1:] / (1 + x[:, :1])


@configurable
@dataclass(frozen=True)
class HalfSpace(_OfHyperbolic):
    r"""Points `(u, y)` with the height `y > 0` last, `x = (s + 1, 2 u, s - 1) / (2 y)` in the
    Lorentz model with `s = |u|^2 + y^2`.

    Normal distributions on the line, at their mean over the root of two and their standard
    deviation, have this for the geometry of their Fisher information, up to a factor. The origin is
    `(0, 1)`.

    >>> HalfSpace().states(torch.tensor([[0.0, 1.0]]))
    tensor([[1., 0., 0.]])
    """

    kind = "half-space"

    def sized(self, size: int) -> HalfSpace:
        """So many numbers."""
        return HalfSpace(size)

    def check(self, table: Tensor, where: Where) -> None:
        """Above zero in the last column."""
        good = torch.ones_like(table, dtype=torch.bool)
        good[:, -1] = table[:, -1] > 0
        where.require(good, table, "heights, the last column of a half-space, are above zero")

    def states(self, table: Tensor) -> Tensor:
        """Points of the Lorentz model."""
        u, y = table[:, :-1], table[:, -1:]
        s = table.square().sum(1, keepdim=True)
        return torch.cat([s + 1, 2 * u, s - 1], 1) / (2 * y)

    def numbers(self, x: Tensor) -> Tensor:
        """Points of the half-space."""
        x = x.double()
        u, last = x[:, 1:-1], x[:, -1:]
        # x_0 - x_d without the difference of large numbers: times x_0 + x_d it is 1 + |u|^2.
        across = 1 + u.square().sum(1, keepdim=True)
        y = torch.where(last > 0, (x[:, :1] + last) / across, 1 / (x[:, :1] - last))
        return torch.cat([u * y, y], 1)
