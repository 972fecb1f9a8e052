"""Files of text measured block by block, before any of it is kept."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from pushforward import _memory
from pushforward._records import DEEPEST
from pushforward.data.declared import DEFLATE, check_inflation, require_room
from pushforward.errors import InputError

__all__ = ["check_json_lines", "count_lines", "opened"]

_BLOCK = 1 << 20

_PER_LETTER = 30
"""Bytes of memory that a letter of a line of numbers takes when it is parted into cells."""

_LONGEST = 1 << 20
"""Letters of a line of JSON: Arrow takes no longer ones."""

_FEW = 1 << 22
"""Cells of a table of JSON that may be empty as they like."""

_SPARSE = 50
"""No row of a table leaves out so many times the names that it has."""


def opened(path: Path) -> BinaryIO:
    """The bytes of a file of text, unpacked if its name ends in `.gz`."""
    return cast(BinaryIO, gzip.GzipFile(path)) if _is_packed(path) else path.open("rb")


def count_lines(path: Path) -> int:
    """How many lines a text has; 0 for one that fits in memory whatever is in it.

    Raises `InputError` for a `.gz` file that inflates beyond reason, of which no more is unpacked,
    and for a line that takes more memory than is free.
    """
    size, there = path.stat().st_size, _memory.available()
    most = DEFLATE * size if _is_packed(path) else size
    if there is None or most * _PER_LETTER < there:
        return 0
    ends = seen = line = 0
    with opened(path) as file:
        while block := file.read(_BLOCK):
            seen += len(block)
            if _is_packed(path):
                check_inflation(size, seen, str(path))
            ends += max(block.count(b"\n"), block.count(b"\r"))
            last = max(block.rfind(b"\n"), block.rfind(b"\r"))
            line = line + len(block) if last < 0 else len(block) - 1 - last
            if line * _PER_LETTER > there:
                raise InputError(
                    f"{path} has a line of {_memory.in_words(line)} or more, for the cells of "
                    "which there is no memory: give a part of it"
                )
    return ends


def check_json_lines(path: Path) -> None:
    """Raise `InputError` for lines that are no objects of JSON, or make too large a table.

    Every name makes a column, with a gap in all rows that lack it: a short file with a new name on
    each line stands for a table of any size. So do objects within others.
    """
    tables, number = _Tables(), 0
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except RecursionError:
            raise InputError(f"{path}, line {number} is nested too deep") from None
        except ValueError as error:
            raise InputError(
                f"{path} is damaged or not a file of JSON lines (line {number}: {error}): save it "
                "again"
            ) from None
        if not isinstance(found, dict):
            raise InputError(
                f"{path}, line {number} is no object of names and values, but {line[:20]!r}"
            )
        tables.add("", found, 0 if b"[" in line or line.count(b"{") > 1 else None)
        if tables.deepest > DEEPEST:
            raise InputError(f"{path}, line {number} is nested too deep")
        if tables.grown:
            tables.check(path, number)
    tables.check(path, number)
    # The numbers of Arrow or pandas, and those of numpy, are there at one time.
    require_room((tables.rows[""], len(tables.known.get("", ()))), "float64", str(path), copies=2)


class _Tables:
    """The tables that objects make, each at its place in others."""

    def __init__(self) -> None:
        self.rows: Counter[str] = Counter()
        self.known: dict[str, set[str]] = {}
        self.cells = self.deepest = 0
        self.grown = False

    def add(self, place: str, value: dict[str, Any], depth: int | None) -> None:
        """Count an object, and unless `depth` is `None` all that is in it."""
        self.rows[place] += 1
        self.cells += len(value)
        known = self.known.setdefault(place, set())
        if not value.keys() <= known:
            known.update(value)
            self.grown = True
        if depth is None:
            return
        for name, inner in value.items():
            waiting = [(depth + 1, inner)]
            while waiting:
                below, found = waiting.pop()
                if isinstance(found, (dict, list)):
                    self.deepest = max(self.deepest, below)
                if isinstance(found, dict):
                    self.add(f"{place}/{name}", found, below)
                elif isinstance(found, list):
                    waiting += [(below + 1, one) for one in found]

    def check(self, path: Path, number: int) -> None:
        """Raise `InputError` if nearly all cells of the tables are empty."""
        self.grown = False
        size = sum(self.rows[place] * len(names) for place, names in self.known.items())
        if size > max(_FEW, _SPARSE * self.cells):
            raise InputError(
                f"{path} has {self.cells} values in its first {number} lines, under so many names "
                f"that they make a table of {size} cells, nearly all of them empty: give the "
                "lines the same names"
            )


def _lines(path: Path) -> Iterator[bytes]:
    size, seen = path.stat().st_size, 0
    with opened(path) as file:
        while line := file.readline(_LONGEST + 1):
            seen += len(line)
            if _is_packed(path):
                check_inflation(size, seen, str(path))
            if len(line) > _LONGEST:
                raise InputError(f"{path} has a line longer than {_LONGEST:,} bytes: is it a row?")
            yield line


def _is_packed(path: Path) -> bool:
    return path.suffix.lower() == ".gz"
