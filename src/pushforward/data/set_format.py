"""Sets of points as the rows of a long table, and back: one row for each point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.data.column import Column
from pushforward.errors import InputError

__all__ = ["SetFormat"]


@dataclass(frozen=True)
class SetFormat:
    """What the columns of a table of points are; kept with a model that learned from it.

    Args:
        id: the column that says which set a point is of.
        order: the names of all columns, in the order of the file.
        coordinates: the columns of numbers, places and other features.
        marks: the columns of kinds, whose words are their values.
        slots: the most points of a set.
        since: the day that dates among the coordinates are counted from.

    >>> made = SetFormat(Column("id", "int64"), ("id", "x"), (Column("x"),), slots=2)
    >>> x, mask = made.arrays(np.array([0, 1, 0]), np.array([[1.0], [2.0], [3.0]]), None, 2)
    >>> x[0].flatten().tolist(), mask.tolist()
    ([1.0, 3.0], [[True, True], [True, False]])
    """

    id: Column
    order: tuple[str, ...]
    coordinates: tuple[Column, ...]
    marks: tuple[Column, ...] = ()
    slots: int = 1
    since: str | None = None

    @property
    def kinds(self) -> tuple[int, ...]:
        """How many values each mark has."""
        return tuple(len(mark.words) for mark in self.marks)

    @property
    def words(self) -> str:
        """What the states are, in words."""
        places = ", ".join(column.name for column in self.coordinates)
        marks = ", ".join(mark.name for mark in self.marks)
        with_marks = f" with {marks}" if marks else ""
        return f"sets of up to {self.slots} points ({places}){with_marks}"

    def arrays(
        self,
        sets: NDArray[np.int64],
        places: NDArray[Any],
        marks: NDArray[np.int64] | None,
        count: int,
    ) -> tuple[Tensor, ...]:
        """Coordinates `(N, slots, d)`, which slots are filled and marks `(N, slots, m)`, of rows.

        Args:
            sets: the number of the set of each row; below zero for none.
            places: coordinates `(rows, d)`.
            marks: numbers of the values of marks `(rows, m)`.
            count: how many sets there are.
        """
        there = sets >= 0
        own = sets[there]
        order = np.argsort(own, kind="stable")
        sizes = np.bincount(own, minlength=count)
        slot = np.arange(len(own)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        at = own[order], slot
        x = np.zeros((count, self.slots, places.shape[1]))
        mask = np.zeros((count, self.slots), dtype=bool)
        x[at], mask[at] = places[there][order], True
        found = torch.from_numpy(x), torch.from_numpy(mask)
        if marks is None or not self.marks:
            return found
        kinds = np.zeros((count, self.slots, marks.shape[1]), dtype=np.int64)
        kinds[at] = marks[there][order]
        return (*found, torch.from_numpy(kinds))

    def describe(self) -> dict[str, Any]:
        """Plain values that YAML and JSON hold."""
        return {
            "id": self.id.describe(),
            "order": list(self.order),
            "coordinates": [column.describe() for column in self.coordinates],
            "marks": [mark.describe() for mark in self.marks],
            "slots": self.slots,
            "since": self.since,
        }

    @classmethod
    def from_description(cls, described: Mapping[str, Any]) -> SetFormat:
        """What `describe` described."""
        return cls(
            Column.from_description(described["id"]),
            tuple(described["order"]),
            tuple(map(Column.from_description, described["coordinates"])),
            tuple(map(Column.from_description, described["marks"])),
            int(described["slots"]),
            described.get("since"),
        )

    def check_names(self, names: Sequence[str], source: str) -> None:
        """Raise `InputError` for a table without one of the columns."""
        wanted = (self.id, *self.coordinates, *self.marks)
        absent = [column.name for column in wanted if column.name not in names]
        if absent:
            raise InputError(
                f"{source} has no column {', '.join(map(repr, absent))}, which the model was "
                f"trained on; it has {', '.join(names)}"
            )
