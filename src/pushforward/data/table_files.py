"""Tables of typed columns to files: text, parquet, feather, spreadsheets and lines of JSON."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pushforward._extras import require
from pushforward.errors import InputError

__all__ = ["TABLES", "TEXTS", "Columns", "TableWriter"]

Columns = Mapping[str, NDArray[Any]]
"""The columns of a table by name, `(N,)` each: integers, truths, floats or words."""

TableWriter = Callable[[Path, Columns], None]
"""Writes a table to a new file. The path may be that of a partial file, with another suffix."""

_SHEET_ROWS = 2**20
"""The rows of a spreadsheet, with that of the names."""


def _text(mark: str, *, packed: bool = False) -> TableWriter:
    """Text with a header. Floating-point numbers have the fewest digits that tell them apart."""

    def write(path: Path, columns: Columns) -> None:
        with _opened(path, packed) as file:
            writer = csv.writer(file, delimiter=mark, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(zip(*(map(str, column) for column in columns.values()), strict=True))

    return write


def _json_lines(path: Path, columns: Columns) -> None:
    """An object for each row."""
    with _opened(path, packed=False) as file:
        # The digits of a float32 number are its own, not those of the double nearest to it.
        values = [
            map(float, map(str, column)) if column.dtype == np.float32 else column.tolist()
            for column in columns.values()
        ]
        for row in zip(*values, strict=True):
            file.write(json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) + "\n")


def _parquet(path: Path, columns: Columns) -> None:
    parquet = require("pyarrow.parquet", extra="data", purpose="write parquet files")
    parquet.write_table(_arrow(columns), path)


def _feather(path: Path, columns: Columns) -> None:
    feather = require("pyarrow.feather", extra="data", purpose="write feather files")
    feather.write_feather(_arrow(columns), str(path))


def _arrow(columns: Columns) -> Any:
    """A table of Arrow; words are its dictionaries, which pandas reads as categories."""
    pyarrow = require("pyarrow", extra="data", purpose="write tables of Arrow")
    made = {}
    for name, column in columns.items():
        array = pyarrow.array(column.tolist() if column.dtype.kind in "OU" else column)
        made[name] = array.dictionary_encode() if column.dtype.kind in "OU" else array
    return pyarrow.table(made)


def _spreadsheet(path: Path, columns: Columns) -> None:
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
    for row in zip(*(column.tolist() for column in columns.values()), strict=True):
        sheet.append(row)
    with path.open("wb") as file:
        book.save(file)


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
