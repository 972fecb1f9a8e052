"""Tables of typed columns to files: text, parquet, feather, spreadsheets and lines of JSON."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pushforward._extras import require
from pushforward.errors import InputError

__all__ = ["ARROW", "TABLES", "TEXTS", "Categories", "Columns", "TableWriter"]

Columns = Mapping[str, NDArray[Any]]
"""The columns of a table by name, `(N,)` each: integers, truths, floats or words."""

Categories = Mapping[str, Sequence[Any]]
"""All values of those columns that are categories, where a file has such."""

TableWriter = Callable[[Path, Columns, Categories], None]
"""Writes a table to a new file. The path may be that of a partial file, with another suffix."""

_SHEET_ROWS = 2**20
"""The rows of a spreadsheet, with that of the names."""


def _text(mark: str, *, packed: bool = False) -> TableWriter:
    """Text with a header. Floating-point numbers have the fewest digits that tell them apart."""

    def write(path: Path, columns: Columns, categories: Categories) -> None:
        with _opened(path, packed) as file:
            writer = csv.writer(file, delimiter=mark, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(zip(*(map(str, column) for column in columns.values()), strict=True))

    return write


def _json_lines(path: Path, columns: Columns, categories: Categories) -> None:
    """An object for each row."""
    with _opened(path, packed=False) as file:
        for row in _rows(columns):
            file.write(json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) + "\n")


def _parquet(path: Path, columns: Columns, categories: Categories) -> None:
    require("pyarrow", extra="data", purpose="write parquet files")
    _frame(columns, categories).to_parquet(path, engine="pyarrow", index=False)


def _feather(path: Path, columns: Columns, categories: Categories) -> None:
    require("pyarrow", extra="data", purpose="write feather files")
    _frame(columns, categories).to_feather(path)


def _frame(columns: Columns, categories: Categories) -> Any:
    """A data frame."""
    pandas = require("pandas", extra="data", purpose="write typed tables")
    frame = pandas.DataFrame(dict(columns))
    known = {name: pandas.CategoricalDtype(list(values)) for name, values in categories.items()}
    return frame.astype(known)


def _spreadsheet(path: Path, columns: Columns, categories: Categories) -> None:
    openpyxl = require("openpyxl", extra="data", purpose="write spreadsheets")
    rows = len(next(iter(columns.values())))
    if rows >= _SHEET_ROWS:
        raise InputError(
            f"a spreadsheet has room for {_SHEET_ROWS - 1:,} rows, not {rows:,}: write a .csv or "
            "a .parquet file"
        )
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("samples")
    sheet.append(list(columns))
    for row in _rows(columns):
        sheet.append(row)
    with path.open("wb") as file:
        book.save(file)


def _rows(columns: Columns) -> Iterator[tuple[Any, ...]]:
    """The rows of a table as values of Python, where all floating-point numbers are double."""
    # The digits of a float32 number are its own, not those of the double nearest to it.
    values = (
        map(float, map(str, column)) if column.dtype == np.float32 else column.tolist()
        for column in columns.values()
    )
    return zip(*values, strict=True)


@contextmanager
def _opened(path: Path, packed: bool) -> Iterator[IO[str]]:
    """A text file, packed with no name and time in it, so that equal tables are equal files."""
    with path.open("wb") as raw:
        if not packed:
            with io.TextIOWrapper(raw, encoding="utf-8", newline="") as file:
                yield file
            return
        with (
            gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as zipped,
            io.TextIOWrapper(zipped, encoding="utf-8", newline="") as file,
        ):
            yield file


TABLES: dict[str, TableWriter] = {
    ".csv": _text(","),
    ".tsv": _text("\t"),
    ".csv.gz": _text(",", packed=True),
    ".tsv.gz": _text("\t", packed=True),
    ".parquet": _parquet,
    ".feather": _feather,
    ".xlsx": _spreadsheet,
    ".jsonl": _json_lines,
}
"""What writes a table, by the suffix of the file."""

TEXTS = frozenset({".csv", ".tsv", ".csv.gz", ".tsv.gz"})
"""The files of words, in which booleans are spelled as where they came from."""

ARROW = frozenset({".parquet", ".feather"})
"""The files whose columns have types of any precision."""
