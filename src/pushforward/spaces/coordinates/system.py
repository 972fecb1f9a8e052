"""What some numbers of a table stand for: an invertible map between them and states."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from pushforward.errors import InputError

__all__ = ["TURN", "UNITS", "CoordinateSystem", "Counted", "Where"]

TURN = {"degrees": 360.0, "radians": 2 * math.pi}
"""A full turn in each unit."""

UNITS = tuple(TURN)

CLOSE = 1e-3
"""How far from the manifold numbers may be, as written digits are; further ones are projected on
request."""


class Where(NamedTuple):
    """How errors name rows and columns.

    Args:
        row: the name of row `i`, such as "line 7".
        names: of the columns that the numbers are in.
    """

    row: Callable[[int], str]
    names: tuple[str, ...]

    def require(self, good: Tensor, table: Tensor, reason: str) -> None:
        """Raise `InputError` with the first number of a table that is not good, `(N, k)`."""
        if bool(good.all()):
            return
        i, k = (~good).nonzero()[0].tolist()
        bad = int((~good.all(1)).sum())
        raise InputError(
            f"{self.row(i)}, column {self.names[k]!r} holds {float(table[i, k]):g}: {reason}; "
            f"{bad:,} of {len(table):,} rows break this"
        )


class CoordinateSystem(ABC):
    """An invertible map between the numbers `(N, k)` of a table and states, in double precision."""

    names: tuple[tuple[str, ...], ...] = ()
    """The names, in small letters, that each of the numbers may have in a table; empty where they
    have none of their own, and go by their order."""

    turning: tuple[int, ...] = ()
    """Which of the numbers are angles that go all around."""

    unit: str = ""
    """The unit of angles."""

    plain: ClassVar[bool] = False
    """The states themselves, in the order of the columns."""

    manifold: ClassVar[str] = ""
    """What numbers can be off, in words."""

    way_out: ClassVar[str] = ""
    """What to do with numbers that are off it."""

    @property
    def size(self) -> int | None:
        """How many numbers there are; `None` for all that are left."""
        return len(self.names) or None

    @property
    def turns(self) -> tuple[tuple[int, float], ...]:
        """Which of the numbers are angles that go all around, and a full turn of each."""
        return tuple((k, TURN[self.unit]) for k in self.turning)

    @property
    @abstractmethod
    def spec(self) -> str:
        """The text that stands for them."""

    @property
    def short(self) -> str:
        """The shortest text that stands for them."""
        return self.spec

    @property
    def parts(self) -> tuple[CoordinateSystem, ...]:
        """Those of the factors of a product; these alone otherwise."""
        return (self,)

    def joined(self, parts: tuple[CoordinateSystem, ...]) -> CoordinateSystem:
        """The same of other `parts`."""
        return parts[0]

    def is_one_of(self, kinds: Sequence[CoordinateSystem]) -> bool:
        """Whether they are of one of some kinds, and of as many numbers if both have a number."""
        return any(
            type(kind) is type(self) and (None in (kind.size, self.size) or kind.size == self.size)
            for kind in kinds
        )

    def found_in(self, names: Sequence[str]) -> tuple[int, ...] | None:
        """Where their columns are among some names; `None` unless all are there.

        Raises `InputError` if one is there twice.
        """
        if not self.names:
            return None
        plain = [name.strip().lower() for name in names]
        places: list[int] = []
        for spellings in self.names:
            found = [i for i, name in enumerate(plain) if name in spellings]
            if len(found) > 1:
                both = " and ".join(repr(names[i]) for i in found)
                raise InputError(f"{both} both say {spellings[-1]}: choose with columns=")
            places += found
        return tuple(places) if len(places) == len(self.names) else None

    def located(self, names: Sequence[str]) -> tuple[CoordinateSystem, tuple[int, ...]]:
        """The same with all sizes known, and the column that each of the numbers is in: by its
        name, or else the next of those in order that have no such name.

        Raises `InputError` for columns that are too few, or that are left.
        """
        parts = list(self.parts)
        places = [part.found_in(names) for part in parts]
        left = [i for i in range(len(names)) if all(i not in (own or ()) for own in places)]
        open_ones = [k for k, own in enumerate(places) if own is None]
        known = sum(parts[k].size or 0 for k in open_ones)
        for k in open_ones:
            size = parts[k].size
            many = len(left) - known if size is None else size
            known -= size or 0
            if many < 1 or many > len(left):
                raise InputError(
                    f"coordinates='{self.short}' take more columns than the {len(names)} there "
                    f"are, {', '.join(names)}"
                )
            places[k], left = tuple(left[:many]), left[many:]
            parts[k] = parts[k].sized(many)
        if left:
            raise InputError(self._too_many(names, left))
        return self.joined(tuple(parts)), tuple(i for own in places for i in own or ())

    def _too_many(self, names: Sequence[str], left: Sequence[int]) -> str:
        others = [names[i] for i in left]
        own = [name for name in names if name not in others]
        return (
            f"columns {', '.join(map(repr, others))} are left beside {', '.join(own)} "
            f"({self.short}): learn these alone with columns={own}, learn them given the others "
            f"with given={','.join(others)!r}, or all together in spaces.Product(..., Euclidean()),"
            " which is --space ...,euclidean on the command line"
        )

    @abstractmethod
    def states(self, table: Tensor) -> Any:
        """States of numbers `(N, k)`, on the manifold."""

    @abstractmethod
    def numbers(self, x: Any) -> Tensor:
        """The numbers `(N, k)` of states; angles that go all around in half a turn to both
        sides."""

    def words(self, names: tuple[str, ...]) -> str:
        """What the numbers are, that stand in columns of some names, in words."""
        return ", ".join(names) + (f" in {self.unit}" if self.unit else "")

    def sized(self, size: int) -> CoordinateSystem:
        """The same for a known number of numbers."""
        return self

    def settled(self) -> CoordinateSystem:
        """The same with what was left open said, once the numbers have been checked."""
        return self

    def fitted(self, table: Tensor, decimals: tuple[int | None, ...]) -> CoordinateSystem:
        """The same with what the numbers `(N, k)` of some data, of so many decimals, say."""
        return self.settled()

    def digits(self, decimals: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The decimals that the numbers are written with, where data have these."""
        return decimals

    def checked(
        self, table: Tensor, row: Callable[[int], str], names: tuple[str, ...], *, project: bool
    ) -> Tensor:
        """The numbers `(N, k)`, that stand in columns of some names.

        Raises `InputError` for what is out of range, or off the manifold and not to be projected,
        naming the row as `row` does.
        """
        where = Where(row, names)
        self.check(table, where)
        self.check_off(table, where, project=project)
        return table

    def check(self, table: Tensor, where: Where) -> None:  # noqa: B027
        """Raise `InputError` for numbers that are out of range, with the row and the value."""

    def off(self, table: Tensor) -> Tensor:
        """How far each row is from the manifold, `(N,)`; infinite where nothing is nearest."""
        return torch.zeros(len(table), dtype=table.dtype)

    def check_off(self, table: Tensor, where: Where, *, project: bool) -> None:
        """Raise `InputError` for rows that are off the manifold, unless they are to be
        projected."""
        distance = self.off(table)
        bad = ~distance.isfinite() if project else ~(distance <= CLOSE)
        if not bool(bad.any()):
            return
        i = int(bad.nonzero()[0])
        values = ", ".join(f"{value:.4g}" for value in table[i].tolist())
        columns = ", ".join(where.names)
        if not bool(distance[i].isfinite()):
            raise InputError(
                f"{where.row(i)} has ({columns}) = ({values}), to which no point of "
                f"{self.manifold} is nearest: leave the row out"
            )
        raise InputError(
            f"{where.row(i)} has ({columns}) = ({values}), {float(distance[i]):.3g} from "
            f"{self.manifold}; {int(bad.sum()):,} of {len(table):,} rows are off by more than "
            f"{CLOSE:g}: {self.way_out}, or let project=True do so"
        )

    def require_turns(self, table: Tensor, where: Where) -> None:
        """Raise `InputError` for angles that go all around beyond a full turn."""
        turn = TURN[self.unit]
        good = torch.ones_like(table, dtype=torch.bool)
        some = list(self.turning)
        good[:, some] = table[:, some].abs() <= turn * (1 + 1e-6)
        hint = ", or are these degrees?" if self.unit == "radians" else ""
        where.require(good, table, f"angles lie within a full turn of {turn:.4g} {self.unit}{hint}")


class Counted(CoordinateSystem):
    """Coordinates of a space of any dimension, which are as many as are said, or as are left.

    A subclass has `many`, and a `short` text without it.
    """

    many: int | None

    @property
    def size(self) -> int | None:
        """As many as are said."""
        return self.many

    @property
    def spec(self) -> str:
        """The kind, and how many."""
        return self.short if self.many is None else f"{self.short} {self.many}"
