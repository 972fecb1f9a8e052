"""Tables of typed columns to files: text, parquet, feather, spreadsheets and lines of JSON."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pushforward._extras import require
from pushforward.data.dialect import Dialect
from pushforward.errors import InputError

__all__ = ["ARROW", "SHEET_ROWS", "TABLES", "TEXTS", "TableWriter", "TypedTable"]


@dataclass(frozen=True)
class TypedTable:
    """What a file of a table holds.

    Args:
        columns: by name, `(N,)` each: integers, truths, floats or words.
        categories: all values of those columns that are categories, where a file has such.
        dialect: how it is written as text.
    """

    columns: Mapping[str, NDArray[Any]]
    categories: Mapping[str, Sequence[Any]]
    dialect: Dialect

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """The rows as values of Python, where all floating-point numbers are double."""
        # The digits of a float32 number are its own, not those of the double nearest to it.
        values = (
            map(float, map(str, column)) if column.dtype == np.float32 else column.tolist()
            for column in self.columns.values()
        )
        return zip(*values, strict=True)


TableWriter = Callable[[Path, TypedTable], None]
"""Writes a table to a new file. The path may be that of a partial file, with another suffix."""

SHEET_ROWS = 2**20
"""The rows of a spreadsheet, with that of the names."""


def _text(path: Path, table: TypedTable) -> None:
    """Text, in which floating-point numbers have the fewest digits that tell them apart."""
    dialect = table.dialect
    cells = (_cells(column, dialect.decimal) for column in table.columns.values())
    with _opened(path, dialect) as file:
        lines = _Lines(file, dict(dialect.skipped or {}))
        writer = csv.writer(lines, delimiter=dialect.mark, lineterminator="\n")
        if dialect.header:
            writer.writerow(table.columns)
        writer.writerows(zip(*cells, strict=True))


def _cells(column: NDArray[Any], decimal: str) -> Iterator[str]:
    if column.dtype.kind == "f" and decimal != ".":
        return (str(value).replace(".", decimal) for value in column)
    return map(str, column)


class _Lines:
    """Lines of a table, and between them those of the file that are no part of it."""

    def __init__(self, file: IO[str], others: dict[int, str]) -> None:
        self.file, self.others, self.number = file, others, 1

    def write(self, line: str) -> None:
        while self.number in self.others:
            self.file.write(self.others.pop(self.number) + "\n")
            self.number += 1
        self.file.write(line)
        self.number += 1


def _json_lines(path: Path, table: TypedTable) -> None:
    """An object for each row."""
    with _opened(path, table.dialect) as file:
        for row in table.rows():
            named = dict(zip(table.columns, row, strict=True))
            file.write(json.dumps(named, ensure_ascii=False) + "\n")


def _parquet(path: Path, table: TypedTable) -> None:
    require("pyarrow", extra="data", purpose="write parquet files")
    _frame(table).to_parquet(path, engine="pyarrow", index=False)


def _feather(path: Path, table: TypedTable) -> None:
    require("pyarrow", extra="data", purpose="write feather files")
    _frame(table).to_feather(path)


def _frame(table: TypedTable) -> Any:
    """A data frame."""
    pandas = require("pandas", extra="data", purpose="write typed tables")
    frame = pandas.DataFrame(dict(table.columns))
    categories = table.categories.items()
    return frame.astype({name: pandas.CategoricalDtype(list(all_)) for name, all_ in categories})


def _spreadsheet(path: Path, table: TypedTable) -> None:
    openpyxl = require("openpyxl", extra="data", purpose="write spreadsheets")
    rows = len(next(iter(table.columns.values())))
    if rows >= SHEET_ROWS:
        raise InputError(
            f"a spreadsheet has room for {SHEET_ROWS - 1:,} rows, not {rows:,}: write a .csv or "
            "a .parquet file"
        )
    book = openpyxl.Workbook(write_only=True)
    dialect = table.dialect
    sheet = book.create_sheet(dialect.sheet or "samples")
    others, number = dict(dialect.skipped or {}), 1
    for row in chain([list(table.columns)] if dialect.header else [], table.rows()):
        while number in others:
            sheet.append(others.pop(number).split("\t"))
            number += 1
        sheet.append(row)
        number += 1
    with path.open("wb") as file:
        book.save(file)


@contextmanager
def _opened(path: Path, dialect: Dialect) -> Iterator[IO[str]]:
    """A text file, packed with no name and time in it, so that equal tables are equal files."""
    with path.open("wb") as raw:
        if not dialect.suffix.endswith(".gz"):
            with io.TextIOWrapper(raw, dialect.encoding, newline="") as file:
                yield file
            return
        with (
            gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as zipped,
            io.TextIOWrapper(zipped, dialect.encoding, newline="") as file,
        ):
            yield file


_MARKS = {".csv": ",", ".tsv": "\t", ".txt": "\t", ".dat": "\t"}

TEXTS = {
    suffix + packed: Dialect(suffix + packed, mark)
    for packed in ("", ".gz")
    for suffix, mark in _MARKS.items()
}
"""How text is written if no other of the same kind has been read, by the suffix of the file."""

ARROW = frozenset({".parquet", ".feather", ".arrow"})
"""The files whose columns have types of any precision."""

TABLES: dict[str, TableWriter] = {
    **dict.fromkeys(TEXTS, _text),
    ".parquet": _parquet,
    **dict.fromkeys((".feather", ".arrow"), _feather),
    ".xlsx": _spreadsheet,
    **dict.fromkeys((".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz"), _json_lines),
}
"""What writes a table, by the suffix of the file."""
