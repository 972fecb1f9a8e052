"""Angles of a torus, numbers that stand for themselves, and several kinds side by side."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.spaces.coordinates.system import TURN, CoordinateSystem, Where

__all__ = ["Angles", "CenteredPositions", "JointCoordinates", "Numbers"]


@configurable
@dataclass(frozen=True)
class Angles(CoordinateSystem):
    """Angles, each on a circle of its own, such as dihedral angles.

    >>> Angles("degrees").states(torch.tensor([[90.0, 270.0]]))
    tensor([[1.5708, 4.7124]])
    """

    unit: str
    many: int | None = None

    @property
    def size(self) -> int | None:
        """As many as are said."""
        return self.many

    @property
    def turning(self) -> tuple[int, ...]:  # type: ignore[override]
        """All."""
        return tuple(range(self.many or 0))

    @property
    def spec(self) -> str:
        """The unit, and how many."""
        return self.unit if self.many is None else f"{self.unit} {self.many}"

    def sized(self, size: int) -> Angles:
        """So many angles."""
        return replace(self, many=size)

    def check(self, table: Tensor, where: Where) -> None:
        """Within a full turn."""
        self.require_turns(table, where)

    def states(self, table: Tensor) -> Tensor:
        """In radians, as many turns around as they were."""
        return table * (2 * math.pi / TURN[self.unit])

    def numbers(self, x: Tensor) -> Tensor:
        """In the unit, in half a turn to both sides."""
        return x.double().flatten(1) * (TURN[self.unit] / (2 * math.pi))


@configurable
@dataclass(frozen=True)
class Numbers(CoordinateSystem):
    """Numbers that stand for themselves, such as positions beside rotations."""

    many: int | None = None

    plain: ClassVar[bool] = True

    @property
    def size(self) -> int | None:
        """As many as are said."""
        return self.many

    @property
    def spec(self) -> str:
        """How many."""
        return "numbers" if self.many is None else f"numbers {self.many}"

    def sized(self, size: int) -> Numbers:
        """So many numbers."""
        return Numbers(size)

    def states(self, table: Tensor) -> Tensor:
        """The numbers."""
        return table

    def numbers(self, x: Tensor) -> Tensor:
        """The numbers."""
        return x.double().flatten(1)


@configurable
@dataclass(frozen=True)
class CenteredPositions(CoordinateSystem):
    """Positions of points one after the other, whose center is at zero, or is taken off.

    >>> CenteredPositions(2).states(torch.tensor([[1.0, 0.0, 3.0, 0.0]]))
    tensor([[-1.,  0.,  1.,  0.]])
    """

    dim: int = 3
    many: int | None = None

    manifold: ClassVar[str] = "positions about their center"
    way_out: ClassVar[str] = "take the mean of the points off"

    @property
    def size(self) -> int | None:
        """As many as are said."""
        return self.many

    @property
    def spec(self) -> str:
        """The dimension of a position."""
        return f"positions {self.dim}"

    def sized(self, size: int) -> CenteredPositions:
        """So many numbers. Raises `InputError` unless they make points."""
        if size % self.dim:
            raise InputError(f"{size} columns make no points of R^{self.dim}")
        return replace(self, many=size)

    def off(self, table: Tensor) -> Tensor:
        """The distance of the center from zero."""
        return self._points(table).mean(1).norm(dim=1)

    def states(self, table: Tensor) -> Tensor:
        """The positions about their center."""
        points = self._points(table)
        return (points - points.mean(1, keepdim=True)).flatten(1)

    def numbers(self, x: Tensor) -> Tensor:
        """The positions."""
        return x.double().flatten(1)

    def _points(self, table: Tensor) -> Tensor:
        return table.reshape(len(table), -1, self.dim)


@configurable
@dataclass(frozen=True)
class JointCoordinates(CoordinateSystem):
    """Those of the factors of a product, one after the other; all have known sizes."""

    factors: tuple[CoordinateSystem, ...]

    def __post_init__(self) -> None:
        # Written to a configuration as a list.
        object.__setattr__(self, "factors", tuple(self.factors))

    @property
    def parts(self) -> tuple[CoordinateSystem, ...]:
        """The factors."""
        return self.factors

    def settled(self) -> JointCoordinates:
        """Each part."""
        return JointCoordinates(tuple(part.settled() for part in self.parts))

    def fitted(self, table: Tensor, decimals: tuple[int | None, ...]) -> JointCoordinates:
        """Each part."""
        tables, digits = (
            table.split([part.size or 0 for part in self.parts], 1),
            self._cut(decimals),
        )
        return JointCoordinates(
            tuple(
                part.fitted(own, few)
                for part, own, few in zip(self.parts, tables, digits, strict=True)
            )
        )

    def digits(self, decimals: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Each part."""
        pairs = zip(self.parts, self._cut(decimals), strict=True)
        return tuple(d for part, few in pairs for d in part.digits(few))

    def joined(self, parts: tuple[CoordinateSystem, ...]) -> JointCoordinates:
        """The same of other parts."""
        return JointCoordinates(parts)

    @property
    def size(self) -> int:
        """That of all parts."""
        return sum(part.size or 0 for part in self.parts)

    @property
    def spec(self) -> str:
        """Those of the parts, with commas between."""
        return ", ".join(part.spec for part in self.parts)

    def words(self, names: tuple[str, ...]) -> str:
        """Those of the parts."""
        return ", ".join(
            part.words(own) for part, own in zip(self.parts, self._cut(names), strict=True)
        )

    def check(self, table: Tensor, where: Where) -> None:
        """Each part."""
        for part, own, names in self._tables(table, where):
            part.check(own, where._replace(names=names))

    def check_off(self, table: Tensor, where: Where, *, project: bool) -> None:
        """Each part."""
        for part, own, names in self._tables(table, where):
            part.check_off(own, where._replace(names=names), project=project)

    def states(self, table: Tensor) -> tuple[Any, ...]:
        """A tuple of those of the parts."""
        tables = table.split([part.size or 0 for part in self.parts], 1)
        return tuple(part.states(own) for part, own in zip(self.parts, tables, strict=True))

    def numbers(self, x: tuple[Any, ...]) -> Tensor:
        """Those of the parts."""
        return torch.cat([p.numbers(own) for p, own in zip(self.parts, x, strict=True)], 1)

    @property
    def turns(self) -> tuple[tuple[int, float], ...]:
        """The angles of all parts that go all around, and a full turn of each."""
        found, first = [], 0
        for part in self.parts:
            found += [(first + k, turn) for k, turn in part.turns]
            first += part.size or 0
        return tuple(found)

    def _cut(self, names: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        found, first = [], 0
        for part in self.parts:
            found.append(names[first : first + (part.size or 0)])
            first += part.size or 0
        return found

    def _tables(
        self, table: Tensor, where: Where
    ) -> zip[tuple[CoordinateSystem, Tensor, tuple[str, ...]]]:
        tables = table.split([part.size or 0 for part in self.parts], 1)
        return zip(self.parts, tables, self._cut(where.names), strict=True)
