"""CoordinateSystem in the columns of one table: which column is which, and how it is written."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward import config
from pushforward.data.column import Column
from pushforward.data.decimals import decimals_of

__all__ = ["Located"]


@dataclass(frozen=True)
class Located:
    """CoordinateSystem in the columns of a table.

    Args:
        coordinates: what the numbers are, a `spaces.coordinates.CoordinateSystem`.
        columns: of the table, in its order.
        order: for each of the numbers the column that it is in.
        positive: the numbers that are angles from zero to a full turn, and not of half a turn to
            both sides.
        project: take the nearest point for numbers that are off the manifold.
    """

    coordinates: Any
    columns: tuple[Column, ...]
    order: tuple[int, ...]
    positive: tuple[int, ...] = ()
    project: bool = False

    @classmethod
    def among(
        cls, coordinates: Any, columns: Sequence[Column], *, project: bool = False
    ) -> Located:
        """CoordinateSystem found in columns: by their names, or else in their order.

        Raises `InputError` for columns that are too few, or that are left.

        >>> from pushforward.spaces.coordinates import LatitudeLongitude
        >>> Located.among(LatitudeLongitude(), [Column("lon"), Column("lat")]).order
        (1, 0)
        """
        names = [column.name for column in columns]
        whole, order = coordinates.located(names)
        # Digits are those of the coordinates, which `fitted` looks for.
        plain = tuple(dataclasses.replace(column, decimals=None) for column in columns)
        return cls(whole, plain, order, project=project)

    @property
    def names(self) -> tuple[str, ...]:
        """Those of the columns that the numbers are in, in their order."""
        return tuple(self.columns[i].name for i in self.order)

    @property
    def words(self) -> str:
        """What the states come from, in words."""
        return self.coordinates.words(self.names)

    def fitted(self, table: Tensor) -> Located:
        """With the decimals of the columns of a table, where its angles lie, and all units said."""
        if self.positive or any(column.decimals is not None for column in self.columns):
            return self
        numbers = table.double()[:, list(self.order)]
        decimals = tuple(
            decimals_of(values.cpu().numpy()) for values in table[:, list(self.order)].mT
        )
        known = self.coordinates.fitted(numbers, decimals)
        digits = dict(zip(self.order, known.digits(decimals), strict=True))
        columns = tuple(
            Column(column.name, column.dtype, decimals=digits[i])
            for i, column in enumerate(self.columns)
        )
        positive = tuple(
            k
            for k, turn in self.coordinates.turns
            if float(table[:, self.order[k]].min()) >= 0
            and float(table[:, self.order[k]].max()) > turn / 2
        )
        return dataclasses.replace(self, coordinates=known, columns=columns, positive=positive)

    def states(self, table: Tensor, row: Callable[[int], str]) -> Any:
        """States of the rows of a table, in double precision.

        Raises `InputError` for what is out of range, or off the manifold and not to be projected.
        """
        numbers = table.double()[:, list(self.order)]
        found = self.coordinates.checked(numbers, row, self.names, project=self.project)
        return self.coordinates.states(found)

    def table(self, x: Any) -> Tensor:
        """The rows of the table for states, in double precision."""
        numbers = self.coordinates.numbers(x)
        for k, turn in self.coordinates.turns:
            if k in self.positive:
                numbers[:, k] = torch.remainder(numbers[:, k], turn)
        table = torch.empty_like(numbers)
        table[:, list(self.order)] = numbers
        return table

    def describe(self) -> dict[str, Any]:
        """Plain values that YAML and JSON hold."""
        found: dict[str, Any] = {
            "kind": config.describe(self.coordinates),
            "columns": [column.describe() for column in self.columns],
            "order": list(self.order),
        }
        if self.positive:
            found["positive"] = list(self.positive)
        if self.project:
            found["project"] = True
        return found

    @classmethod
    def from_description(cls, described: Mapping[str, Any]) -> Located:
        """What `describe` described."""
        return cls(
            config.build(described["kind"]),
            tuple(map(Column.from_description, described["columns"])),
            tuple(described["order"]),
            tuple(described.get("positive") or ()),
            bool(described.get("project")),
        )
