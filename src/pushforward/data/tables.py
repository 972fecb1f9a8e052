"""Text tables: `.csv` and `.tsv`, read with the standard library and errors that name the line."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.data.columns import choose, refuse_row_numbers
from pushforward.data.raw import Raw
from pushforward.data.schema import Column
from pushforward.errors import InputError

__all__ = ["read_table"]

MISSING = frozenset({"", "na", "n/a", "null", "none"})
BLOCK = 50_000

Line = tuple[int, list[str]]


def read_table(
    path: Path,
    label: str | int | bool | None = None,
    columns: Sequence[str | int] | None = None,
    header: bool | None = None,
) -> Raw:
    """A table of numbers, one row a line, with an optional column of labels.

    Cells are separated by tabs, semicolons or commas: the first of these that the first line
    shows. Quoted cells, blank lines, a byte-order mark and `#` comments at the top are understood;
    a comment right above the data with a name for each column is its header, as numpy.savetxt
    writes it. Empty cells and `NA` are missing values. `header=None` takes the first line for names
    unless it reads like the second; columns without names are called `0`, `1`, ...

    Raises `InputError` naming line and column for text among the numbers, lines of another length,
    and files that are not UTF-8 text.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            comment, lines = _lines(file, path)
            opening = list(islice(lines, 2))
            if not opening:
                raise InputError(f"{path} is empty")
            first = opening[0][1]
            named = _has_header([cells for _, cells in opening]) if header is None else header
            if named:
                names = [cell.strip() for cell in first]
            elif header is None and len(first) == len(comment) > 1:
                names = comment
            else:
                names = list(map(str, range(len(first))))
            chosen, target = choose(names, str(path), label, columns)
            body = chain(opening[1:] if named else opening, lines)
            return _read(path, names, chosen, target, body)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not UTF-8 text (byte {error.object[error.start]:#04x}): "
            "save it again as CSV UTF-8"
        ) from None


def _lines(file: Iterator[str], path: Path) -> tuple[list[str], Iterator[Line]]:
    """The cells of the comment above the data, and of each line that is not blank."""
    comment = start = ""
    skipped = 0
    for start in file:
        text = start.strip()
        if text and not text.startswith("#"):
            break
        comment = text.lstrip("# ")
        skipped += 1
        start = ""
    mark = _delimiter(start)
    names = [cell.strip() for cell in comment.split(mark)]
    reader = csv.reader(chain([start], file), delimiter=mark, skipinitialspace=True, strict=True)
    return names, _records(reader, skipped, path)


def _records(reader: Any, skipped: int, path: Path) -> Iterator[Line]:
    while True:
        line = skipped + reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise InputError(
                f"{path}, line {line}: {error}: look for a quotation mark that is not closed"
            ) from None
        if cells is None:
            return
        if any(map(str.strip, cells)):
            yield line, cells


def _delimiter(line: str) -> str:
    # A comma comes last: under semicolons or tabs it is a decimal comma, reported as such.
    outside = "".join(line.split('"')[::2])
    return next((mark for mark in "\t;" if mark in outside), ",")


def _has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names the columns: text where the second row has a number."""
    first = rows[0]
    text = [_is_text(cell) for cell in first]
    if all(text) or len(rows) == 1:
        return all(text)
    second = rows[1]
    if [cell.strip() for cell in first] == list(map(str, range(len(first)))):
        # pandas calls the columns of a bare array 0, 1, 2, ...
        return len(first) > 1 and not all(cell.strip().lstrip("-").isdigit() for cell in second)
    return any(t and not _is_text(cell) for t, cell in zip(text, second, strict=False))


def _read(
    path: Path, names: list[str], chosen: list[int], target: int | None, body: Iterator[Line]
) -> Raw:
    blocks: list[NDArray[np.float64]] = []
    rows: list[list[float]] = []
    labels: list[str] = []
    numbers: list[int] = []
    whole = set(chosen)
    for line, cells in body:
        if len(cells) != len(names):
            raise InputError(
                f"{path}, line {line}: {len(cells)} cells where {len(names)} were expected"
            )
        try:
            rows.append([_number(cells[i]) for i in chosen])
        except ValueError:
            raise InputError(_not_a_number(path, line, names, cells, chosen)) from None
        numbers.append(line)
        whole -= {i for i in whole if not _is_integer(cells[i])}
        if target is not None:
            labels.append(cells[target])
        if len(rows) == BLOCK:
            blocks.append(np.array(rows))
            rows = []
    blocks.append(np.array(rows, dtype=np.float64).reshape(-1, len(chosen)))
    x = np.concatenate(blocks)
    if chosen[0] == 0:
        refuse_row_numbers(names[0], x[:, 0], str(path))
    return Raw(
        x,
        np.array(labels) if target is not None else None,
        str(path),
        row=lambda i: f"line {numbers[i]}",
        columns=tuple(Column(names[i], "int64" if i in whole else "float64") for i in chosen),
        label=None if target is None else names[target],
    )


def _number(cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        if cell.strip().lower() in MISSING:
            return math.nan
        raise
    if "_" in cell:  # Python reads 2020_01 as 202001.
        raise ValueError(cell)
    return value


def _is_integer(cell: str) -> bool:
    """Whether a cell has the digits of an integer, or says that it has no value."""
    text = cell.strip().lower()
    return text.removeprefix("-").removeprefix("+").isdecimal() or text in MISSING


def _is_text(cell: str) -> bool:
    try:
        _number(cell)
    except ValueError:
        return True
    return False


def _not_a_number(
    path: Path, line: int, names: list[str], cells: list[str], chosen: list[int]
) -> str:
    column = next(i for i in chosen if _is_text(cells[i]))
    cell = cells[column].strip()
    where = f"{path}, line {line}, column {names[column]!r}: {cell!r} is not a number"
    if not _is_text(cell.replace(",", ".", 1)):
        return f"{where}: write decimals with a point, {cell.replace(',', '.')}"
    if len(cell.split()) > 1 and not any(map(_is_text, cell.split())):
        return f"{where}: separate the cells of a line by commas or tabs, not by spaces"
    return (
        f"{where}: make the column the label with label={names[column]!r}, "
        "or choose the others with columns="
    )
