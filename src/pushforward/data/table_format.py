"""A table with columns of all kinds as states of numbers and symbols, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.data.cells import Cells
from pushforward.data.coded_column import CodedColumn
from pushforward.data.kinds import Kind
from pushforward.data.row_rules import RowRule, rules_of
from pushforward.errors import InputError

__all__ = ["TableFormat"]

Told = Mapping[str, NDArray[Any]]
"""Numbers that were told, by the names of their columns, NaN where none was."""


@dataclass(frozen=True)
class TableFormat:
    """How the columns of a table are coded; kept with a model that learned from the table.

    A state is a pair: the numbers `(N, d)` of the columns that have some, and the symbols `(N, s)`
    of those that have some; one alone where the other would be empty.

    Args:
        columns: in the order of the file.
        decimal, thousands: how its numbers are written.
        rules: what holds in every row.

    >>> cells = {"age": ["31", "40", "22"], "sex": ["f", "m", "f"]}
    >>> kinds = {"age": Kind("count"), "sex": Kind("category")}
    >>> table = TableFormat.fitted(cells, kinds, Cells())
    >>> x = table.states({"age": ["40"], "sex": ["m"]}, Cells(), "a table")
    >>> table.cells(x)
    {'age': ['40'], 'sex': ['m']}
    """

    columns: tuple[CodedColumn, ...]
    decimal: str = "."
    thousands: str | None = None
    rules: tuple[RowRule, ...] = ()

    @classmethod
    def fitted(
        cls, cells: Mapping[str, Sequence[str]], kinds: Mapping[str, Kind], known: Cells
    ) -> TableFormat:
        """The codes that fit the cells of a table, whose columns have some kinds."""
        columns = tuple(
            CodedColumn.fitted(name, kinds[name], own, known) for name, own in cells.items()
        )
        found = cls(columns, known.decimal, known.thousands)
        x = found.states(cells, known, "the table")
        return cls(found.columns, found.decimal, found.thousands, rules_of(found.values(x)))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def notation(self) -> Cells:
        """How cells are written."""
        return Cells(self.decimal, self.thousands)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many symbols each site of symbols has."""
        return tuple(column.size for column in self.columns if column.size)

    @property
    def dimension(self) -> int:
        """How many numbers a state has."""
        return sum(column.units is not None for column in self.columns)

    @property
    def places(self) -> list[list[int | None]]:
        """Where each column is among the numbers, and among the symbols, of a state."""
        found: list[list[int | None]] = []
        at = [0, 0]
        for column in self.columns:
            there = column.units is not None, column.size > 0
            found.append([at[k] if there[k] else None for k in range(2)])
            at = [at[k] + there[k] for k in range(2)]
        return found

    @property
    def missing_symbols(self) -> Tensor:
        """Which symbols stand for missing cells, `(sites, symbols)`."""
        columns = [column for column in self.columns if column.size]
        found = torch.zeros(len(columns), max(self.sizes, default=0), dtype=torch.bool)
        for k, column in enumerate(columns):
            if column.missing:
                found[k, column.size - 1] = True
        return found

    @property
    def words(self) -> str:
        """What the states are, in words."""
        kinds: dict[str, int] = {}
        for column in self.columns:
            kinds[column.kind.name] = kinds.get(column.kind.name, 0) + 1
        listed = ", ".join(f"{many} {name}" for name, many in kinds.items())
        return f"rows of {len(self.columns)} columns ({listed})"

    # -- states -----------------------------------------------------------------------------------

    def states(self, cells: Mapping[str, Sequence[str]], known: Cells, place: str) -> Any:
        """The states of the rows of a table. Raises `InputError` for cells that do not fit."""
        coded = [column.codes(cells[column.name], known, place) for column in self.columns]
        pairs = list(zip(self.columns, coded, strict=True))
        numbers = [scores for column, (scores, _) in pairs if column.units is not None]
        symbols = [own for column, (_, own) in pairs if column.size]
        parts = []
        if numbers:
            parts.append(torch.from_numpy(np.stack(numbers, 1)).float())
        if symbols:
            parts.append(torch.from_numpy(np.stack(symbols, 1)))
        return tuple(parts) if len(parts) == 2 else parts[0]

    def coded(self, x: Any) -> list[tuple[NDArray[np.float64], NDArray[np.int64]]]:
        """The numbers and symbols of each column, `(N,)` each; zeros where it has none.

        Raises `InputError` for what is no such state.
        """
        parts = x if isinstance(x, tuple) else (x,)
        numbers = next((part for part in parts if part.is_floating_point()), None)
        symbols = next((part for part in parts if not part.is_floating_point()), None)
        sizes = [0 if part is None else part.shape[1] for part in (numbers, symbols)]
        if sizes != [self.dimension, len(self.sizes)]:
            raise InputError(
                f"a row of this table has {self.dimension} numbers and {len(self.sizes)} symbols, "
                f"not {sizes[0]} and {sizes[1]}"
            )
        n, found, at = len(parts[0]), [], [0, 0]
        for column in self.columns:
            scores, kinds = np.zeros(n), np.zeros(n, dtype=np.int64)
            if numbers is not None and column.units is not None:
                scores = numbers[:, at[0]].detach().cpu().double().numpy()
                at[0] += 1
            if symbols is not None and column.size:
                kinds = symbols[:, at[1]].detach().cpu().numpy()
                at[1] += 1
            found.append((scores, kinds))
        return found

    def cells(self, x: Any, told: Told | None = None) -> dict[str, list[str]]:
        """The cells of each column, as the data write them; numbers that were told as they were."""
        own = told or {}
        return {
            column.name: column.cells(*codes, self.notation, own.get(column.name))
            for column, codes in zip(self.columns, self.coded(x), strict=True)
        }

    def values(self, x: Any, told: Told | None = None) -> dict[str, NDArray[Any]]:
        """The columns as numbers, NaN where they are missing, and as words, `None` there."""
        found: dict[str, NDArray[Any]] = {}
        for column, codes in zip(self.columns, self.coded(x), strict=True):
            if column.kind.numeric:
                own = (told or {}).get(column.name)
                found[column.name] = column.values(*codes, self.notation, own)
            else:
                written = np.array([*column.symbols, None], dtype=object)
                found[column.name] = written[codes[1]]
        return found

    def columns_of(
        self, x: Any, *, spelled: bool, told: Told | None = None
    ) -> dict[str, NDArray[Any]]:
        """The columns by name, typed as files of types have them, or as text if `spelled` so."""
        if spelled:
            return {name: np.array(own, dtype=object) for name, own in self.cells(x, told).items()}
        found = self.values(x, told)
        for column in self.columns:
            own = found[column.name]
            if column.kind.name == "date":
                codes = self.coded(x)[self.columns.index(column)]
                cells = column.cells(*codes, self.notation, (told or {}).get(column.name))
                found[column.name] = np.array(cells, dtype=object)
            elif column.kind.name in ("integer", "count") and not np.isnan(own).any():
                found[column.name] = own.astype(np.int64)
        return found

    def partial(
        self, cells: Mapping[str, Sequence[str]], known: Cells, n: int, place: str
    ) -> tuple[Any, Any]:
        """States of `n` rows of which some columns are told, and booleans like them that say where.

        A cell that is missing tells nothing. Raises `InputError` for words that a column does not
        know, and for numbers beyond those that it had.
        """
        numbers, symbols = [], []
        for column in self.columns:
            told = np.zeros(n, dtype=bool)
            codes = np.zeros(n), np.zeros(n, dtype=np.int64)
            if column.name in cells:
                own = cells[column.name]
                told = np.array([not known.is_missing(cell) for cell in own])
                # Untold rows need a cell that can be coded: the first that is told.
                some = next((cell for cell in own if not known.is_missing(cell)), None)
                if some is not None:
                    whole = [some if known.is_missing(cell) else cell for cell in own]
                    column.check_limits(whole, known, place)
                    codes = column.codes(whole, known, place)
            if column.units is not None:
                numbers.append((codes[0], told))
            if column.size:
                symbols.append((codes[1], told))
        states, where = [], []
        if numbers:
            states.append(torch.from_numpy(np.stack([own for own, _ in numbers], 1)).float())
            where.append(torch.from_numpy(np.stack([told for _, told in numbers], 1)))
        if symbols:
            states.append(torch.from_numpy(np.stack([own for own, _ in symbols], 1)))
            where.append(torch.from_numpy(np.stack([told for _, told in symbols], 1)))
        if len(states) == 2:
            return tuple(states), tuple(where)
        return states[0], where[0]

    def told(self, cells: Mapping[str, Sequence[str]], known: Cells) -> dict[str, NDArray[Any]]:
        """The numbers that some cells tell, by column, NaN where they tell none."""
        return {
            column.name: np.array(
                [
                    np.nan if known.is_missing(cell) else column.number(cell, known)
                    for cell in cells[column.name]
                ]
            )
            for column in self.columns
            if column.units is not None and column.name in cells
        }

    def shown(self, x: Any) -> Tensor:
        """The numbers of states `(N, d)`, zero where a symbol says that there is none."""
        pairs = zip(self.columns, self.coded(x), strict=True)
        found = [
            np.where((kinds == 0) | (column.size == 0), scores, 0.0)
            for column, (scores, kinds) in pairs
            if column.units is not None
        ]
        n = len(x[0] if isinstance(x, tuple) else x)
        return torch.from_numpy(np.stack(found, 1)) if found else torch.zeros(n, 0).double()

    def kinds(self, x: Any) -> dict[str, Tensor]:
        """The symbols of the columns that have several, by the name of the column, with what they
        tell apart where the column has numbers beside them."""
        pairs = zip(self.columns, self.coded(x), strict=True)
        return {
            c.name if c.units is None else f"{c.name}: {', '.join(c.words)}": torch.from_numpy(own)
            for c, (_, own) in pairs
            if c.size > 1
        }

    def indicators(self, x: Any) -> Tensor:
        """The symbols of states as zeros and ones, `(N, symbols)`."""
        pairs = zip(self.columns, self.coded(x), strict=True)
        hot = [np.eye(column.size)[codes[1]] for column, codes in pairs if column.size > 1]
        n = len(x[0] if isinstance(x, tuple) else x)
        return torch.from_numpy(np.hstack(hot)) if hot else torch.zeros(n, 0).double()

    def log_slope(self, x: Any) -> Tensor:
        """What is added to the log-density of states for that of rows in the units of the data."""
        pairs = zip(self.columns, self.coded(x), strict=True)
        return torch.from_numpy(sum(column.log_slope(*codes) for column, codes in pairs))

    # -- as plain values --------------------------------------------------------------------------

    def describe(self) -> dict[str, Any]:
        """Plain values that YAML and JSON hold."""
        found: dict[str, Any] = {"columns": [column.describe() for column in self.columns]}
        if self.decimal != ".":
            found["decimal"] = self.decimal
        if self.thousands is not None:
            found["thousands"] = self.thousands
        if self.rules:
            found["rules"] = [rule.describe() for rule in self.rules]
        return found

    @classmethod
    def from_description(cls, described: Mapping[str, Any]) -> TableFormat:
        """What `describe` described."""
        return cls(
            tuple(map(CodedColumn.from_description, described["columns"])),
            described.get("decimal", "."),
            described.get("thousands"),
            tuple(map(RowRule.from_description, described.get("rules") or ())),
        )
