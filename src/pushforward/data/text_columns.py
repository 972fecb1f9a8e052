"""Columns of text cells as they become numbers, and what stood in the way."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pushforward.data.cells import Cells, truth
from pushforward.data.schema import Column
from pushforward.errors import InputError

__all__ = ["TextColumn", "column_of"]

EXACT = 2.0**53
"""Whole numbers from here on are not all distinct in double precision."""
STEPS = 4000
"""Steps of the precision that a standard deviation is worth, at least."""


@dataclass
class TextColumn:
    """One column of a text table, filled block by block.

    Args:
        name: of the column.
        position: of the column in the file, from 0.
        cells: how numbers are written.
        numbers: how many cells were numbers.
        faults: the cells that were neither numbers nor missing, and how often each occurred.
        at: the line of the first of them.
    """

    name: str
    position: int
    cells: Cells
    numbers: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    at: int | None = None
    _blocks: list[NDArray[np.float64]] = field(default_factory=list)
    _words: dict[str, tuple[str, str]] = field(default_factory=dict)
    _truth_at: int | None = None

    def add(self, lines: Sequence[int], cells: Sequence[str]) -> None:
        """Take in the cells of a block, whose numbers of lines errors name."""
        values = self.cells.numbers(cells)
        if values is None:
            values = self._carefully(lines, cells)
        else:
            self.numbers += len(values)
        self._blocks.append(values)

    def refuse(self, at: int, text: str) -> None:
        """Count a cell that is no number, at a line or row."""
        self.faults[text.strip()] += 1
        self.at = at if self.at is None else self.at

    def values(self) -> NDArray[np.float64]:
        """The numbers, with NaN for missing ones."""
        return np.concatenate(self._blocks) if self._blocks else np.empty(0)

    def settle(self) -> None:
        """Decide whether words such as `yes` are booleans: they are where nothing else stands, in
        whatever case."""
        pairs = {(no.lower(), yes.lower()) for no, yes in self._words.values()}
        if len(pairs) != 1 or self.numbers or self.faults:
            self.faults.update(dict.fromkeys(self._words, 1))
            if self._words and (self.at is None or (self._truth_at or 0) < self.at):
                self.at = self._truth_at
            self._words = {}

    @property
    def words(self) -> tuple[str, ...]:
        """The two words of a column of booleans, as they are first spelled."""
        return next(iter(self._words.values()), ())

    def _carefully(self, lines: Sequence[int], cells: Sequence[str]) -> NDArray[np.float64]:
        values = np.full(len(cells), math.nan)
        for i, cell in enumerate(cells):
            try:
                values[i] = self.cells.number(cell)
            except ValueError:
                found = truth(cell)
                if found is None:
                    self.refuse(lines[i], cell)
                    continue
                values[i], self._words[cell.strip()] = found
                self._truth_at = lines[i] if self._truth_at is None else self._truth_at
                continue
            if not math.isnan(values[i]):
                self.numbers += 1
        return values


def column_of(
    name: str,
    values: NDArray[np.float64],
    first: str | None,
    words: tuple[str, ...],
    source: str,
    way_out: str,
) -> Column:
    """What a column is in its file: whole numbers, fractions, booleans in words, or other words.

    It is of whole numbers if all its values are and the first is written as one. Raises
    `InputError` for a column without values, and for whole numbers that double precision cannot
    tell apart.

    >>> column_of("n", np.array([1.0, 2.0]), "1", (), "t.csv", "").dtype
    'int64'
    """
    if len(values) and first is None:
        raise InputError(f"{source}: column {name!r} is empty in every row: {way_out}")
    if words:
        found = truth(words[0])
        if found is not None and found[1] == words:
            return Column(name, "bool", (0.0, 1.0), words)
        return Column(name, "str", tuple(map(float, range(len(words)))), words)
    if not re.fullmatch(r"\s*[+-]?\d+\s*", first or ""):
        return Column(name)
    present = values[np.isfinite(values)]
    if not bool((present == np.round(present)).all()):
        return Column(name)
    largest = np.abs(present).max(initial=0.0)
    if largest >= 2.0**63:
        return Column(name)
    if largest >= EXACT and STEPS * np.spacing(largest) > (present / largest).std() * largest:
        raise InputError(
            f"{source}, column {name!r} holds whole numbers such as {present[0]:.0f}, whose "
            "differences double precision blurs: subtract an offset before writing them, or "
            f"{way_out}"
        )
    return Column(name, "int64")
