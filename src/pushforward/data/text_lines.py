"""Where the table is in a text: what parts its cells, names its columns, and begins its rows."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import TextIOWrapper
from itertools import islice, pairwise
from pathlib import Path
from typing import BinaryIO, TextIO

import numpy as np
from numpy.typing import NDArray

from pushforward.data.cells import Cells
from pushforward.data.dialect import Dialect
from pushforward.data.measured import opened
from pushforward.errors import InputError

__all__ = ["SPACES", "Line", "TextLines", "reads_like_names"]

SPACES = " "
"""Stands for any white space between cells."""

Line = tuple[int, list[str]]
"""The number of a line, counted from 1, and the cells of the record that begins there."""

_EVEN = 5
_YEARS = range(1500, 2201)


@dataclass(frozen=True)
class TextLines:
    """The lines of a text table.

    Args:
        path: the file; if its name ends in `.gz`, it is unpacked.
        encoding: of the text.
        skip: how many lines at the top are left out, or the numbers of such lines.
        cells: how numbers are written.

    Raises `InputError` for files without rows, and for quotation marks that are not closed.
    """

    path: Path
    encoding: str
    skip: int | Sequence[int]
    cells: Cells

    @cached_property
    def skipped(self) -> frozenset[int]:
        """The numbers of the lines that are left out."""
        numbers = range(1, self.skip + 1) if isinstance(self.skip, int) else self.skip
        if any(type(number) is not int or number < 1 for number in numbers):
            raise InputError(
                f"skip is how many lines to leave out, or the numbers of lines from 1, not "
                f"{self.skip!r}"
            )
        return frozenset(numbers)

    def open(self) -> TextIO:
        """The text from its beginning."""
        raw = self.open_bytes()
        try:
            return TextIOWrapper(raw, self.encoding, newline="")
        except LookupError:
            raw.close()
            raise

    def open_bytes(self) -> BinaryIO:
        """The bytes of the text from their beginning."""
        return opened(self.path)

    @property
    def mark(self) -> str:
        """What parts the cells of a line."""
        return self._opening[0]

    def records(self) -> Iterator[Line]:
        """The cells of each line that is not blank, after the comments at the top."""
        above = self._opening[1]
        with self.open() as file:
            lines = enumerate(islice(file, above, None), above + 1)
            kept = (line for line in lines if line[0] not in self.skipped) if self.skip else lines
            parted = self._between_spaces if self.mark == SPACES else self._between_marks
            yield from parted(kept)

    def numbers(self, after: int) -> NDArray[np.int64]:
        """The numbers of the lines on which the rows begin, those after some line."""
        return np.array([number for number, _ in self.records() if number > after])

    def names(self, header: bool | None) -> tuple[list[str], list[Line], int]:
        """The names of the columns, the first rows, and the line of the names, 0 without one.

        The first line names the columns if `header` says so, or by default unless it reads like the
        second; else a comment right above it may.
        """
        opening = list(islice(self.records(), 3))
        if not opening:
            raise InputError(f"{self.path} is empty")
        first, comment = opening[0][1], self._opening[2]
        named = reads_like_names([c for _, c in opening], self.cells) if header is None else header
        if not named:
            fits = header is None and len(first) == len(comment) > 1
            return comment if fits else list(map(str, range(len(first)))), opening, 0
        names = [cell.strip() for cell in first]
        rows = opening[1:]
        if rows and all(len(c) == len(names) + 1 and not c[-1].strip() for _, c in rows):
            # A comma at the end of each line but the first.
            names.append("")
        return names, rows, opening[0][0]

    def dialect(self, *, header: bool) -> Dialect:
        """How this table is written."""
        kinds = self.path.suffixes[-2:] if self._packed else self.path.suffixes[-1:]
        skipped = {}
        if self.skipped:
            with self.open() as file:
                lines = enumerate(islice(file, max(self.skipped)), 1)
                skipped = {k: line.rstrip("\r\n") for k, line in lines if k in self.skipped}
        encoding = "utf-8" if self.encoding == "utf-8-sig" else self.encoding
        suffix = "".join(kinds).lower()
        return Dialect(suffix, self.mark, self.cells.decimal, encoding, header, skipped or None)

    @property
    def _packed(self) -> bool:
        return self.path.suffix.lower() == ".gz"

    @cached_property
    def _opening(self) -> tuple[str, int, list[str]]:
        """The mark, how many lines come before the first record, and the comment's cells."""
        comment, above = "", 0
        with self.open() as file:
            for number, line in enumerate(file, 1):
                text = line.strip()
                if number not in self.skipped:
                    if text and not text.startswith("#"):
                        mark = self._delimiter(text)
                        cells = comment.split(None if mark == SPACES else mark)
                        return mark, above, [cell.strip() for cell in cells]
                    comment = text.lstrip("# ")
                above = number
        raise InputError(f"{self.path} is empty")

    def _delimiter(self, line: str) -> str:
        # A comma comes last: under semicolons or tabs it is a decimal comma.
        outside = "".join(line.split('"')[::2])
        loose = self.path.name.lower().removesuffix(".gz").endswith((".txt", ".dat"))
        marks = "\t;|" if loose and self.cells.decimal == "," else "\t;,|"
        return next((m for m in marks if m in outside), SPACES if loose else ",")

    def _between_spaces(self, lines: Iterator[tuple[int, str]]) -> Iterator[Line]:
        for number, line in lines:
            cells = line.split()
            if '"' in line:
                cells = next(csv.reader([" ".join(cells)], delimiter=" ", skipinitialspace=True))
            if cells:
                yield number, cells

    def _between_marks(self, lines: Iterator[tuple[int, str]]) -> Iterator[Line]:
        begun = 0

        def texts() -> Iterator[str]:
            nonlocal begun
            for number, line in lines:
                # Quoted cells may go over several lines.
                begun = begun or number
                yield line

        reader = csv.reader(texts(), delimiter=self.mark, skipinitialspace=True, strict=True)
        while True:
            begun = 0
            try:
                cells = next(reader, None)
            except csv.Error as error:
                raise InputError(
                    f"{self.path}, line {begun}: {error}: look for a quotation mark that is not "
                    "closed"
                ) from None
            if cells is None:
                return
            if any(map(str.strip, cells)):
                yield begun, cells


def reads_like_names(rows: Sequence[Sequence[str]], cells: Cells) -> bool:
    """Whether the first row names the columns: text where the second row has a number.

    So do years in order above numbers that are none, 0, 1, 2, ... above fractions, and any five or
    more numbers in even steps, such as wavelengths, above others.

    >>> reads_like_names([["a", "b"], ["1", "2"]], Cells())
    True
    """
    first, is_text = rows[0], cells.is_text
    text = [is_text(cell) for cell in first]
    if all(text) or len(rows) == 1:
        return all(text)
    second = rows[1]
    if [cell.strip() for cell in first] == list(map(str, range(len(first)))):
        # pandas calls the columns of a bare array 0, 1, 2, ...
        fractions = not all(cell.strip().lstrip("-").isdigit() for cell in second)
        if len(first) > 1 and fractions:
            return True
    if any(t and not is_text(cell) for t, cell in zip(text, second, strict=False)):
        return True
    pairs = [(a, b) for a, b, t in zip(first, second, text, strict=False) if a.strip() and not t]
    years = [_year(a) for a, _ in pairs]
    # Years one after the other, above numbers that are none.
    in_order = len(years) > 1 and all(
        a is not None and b is not None and a < b for a, b in pairwise(years)
    )
    if in_order and any(_year(b) is None for _, b in pairs):
        return True
    named = [cells.number(a) for a, _ in pairs]
    below = [cells.number(b) for _, b in pairs if not is_text(b)]
    # Neither a range that was cut into rows, nor ranks.
    alike = _evenly(below) or sorted(below) == named
    return len(named) >= _EVEN and _evenly(named) and not alike


def _evenly(numbers: Sequence[float]) -> bool:
    """Whether numbers grow by the same step."""
    steps = [b - a for a, b in pairwise(numbers)]
    return len(steps) > 0 and min(steps) > 0 and max(steps) <= min(steps) * (1 + 1e-6)


def _year(cell: str) -> int | None:
    text = cell.strip()
    return int(text) if text.isdecimal() and len(text) == 4 and int(text) in _YEARS else None
