"""Spreadsheets: `.xlsx`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from pushforward._extras import require
from pushforward.data.cells import Cells
from pushforward.data.columns import closest
from pushforward.data.declared import check_inflation, require_room
from pushforward.data.dialect import Dialect
from pushforward.data.frames import read_values
from pushforward.data.raw import Raw
from pushforward.data.table_files import SHEET_ROWS
from pushforward.data.text_lines import reads_like_names
from pushforward.data.value_columns import is_missing
from pushforward.errors import InputError

__all__ = ["read_sheet"]

_MOST = 1 << 28
"""Cells of a sheet, of which a second reads a million."""


def read_sheet(
    path: Path,
    label: Any = None,
    columns: Sequence[str | int] | None = None,
    header: bool | None = None,
    key: str | None = None,
    skip: int | Sequence[int] = 0,
    **written: Any,
) -> Raw:
    """The table in a sheet of a workbook, the first one or that called `key`.

    Empty rows and columns around it are left out; of formulas, the values that were last computed
    are read. `header`, `skip` (rows as the sheet numbers them), `missing` and `since` are those of
    text tables. Needs the extra `data`. Raises `InputError` for damaged files, sheets that do not
    exist, and cells that are no numbers.
    """
    openpyxl = require("openpyxl", extra="data", purpose="read spreadsheets")
    cells = Cells(**written)
    try:
        with ZipFile(path) as inside:
            for part in inside.infolist():
                where = f"{path}, {part.filename!r}"
                check_inflation(part.compress_size, part.file_size, where)
        with closing(
            openpyxl.load_workbook(path, read_only=True, data_only=True, keep_links=False)
        ) as book:
            if key is not None and key not in book.sheetnames:
                known = ", ".join(book.sheetnames)
                raise InputError(
                    f"{path} has no sheet {key!r}{closest(key, book.sheetnames)}; it has {known}"
                )
            sheet = book[key or book.sheetnames[0]]
            source = f"{path}, sheet {sheet.title!r}"
            skipped = set(range(1, skip + 1) if isinstance(skip, int) else skip)
            filled, others = _filled(sheet, skipped, source)
    except (InputError, MemoryError):
        raise
    except Exception:  # a damaged file can raise nearly anything
        raise InputError(f"{path} is damaged or not an .xlsx file: save it again") from None
    if not filled:
        raise InputError(f"{source} is empty")
    used = sorted(set().union(*(row for _, row in filled)))
    # Each cell is a place in a list first.
    require_room((len(filled), len(used)), "float64", source, copies=2)
    table = [[row.get(k) for k in used] for _, row in filled]
    places = [at for at, _ in filled]
    opening = [[_text(value) for value in row] for row in table[:3]]
    named = reads_like_names(opening, cells) if header is None else header
    if named:
        names, table, places = [text.strip() for text in opening[0]], table[1:], places[1:]
    else:
        names = list(map(str, range(len(used))))
    values = [[row[k] for row in table] for k in range(len(used))]
    raw = read_values(
        names, values, label, columns, source, cells, lambda i: f"row {places[i]} of the sheet"
    )
    title = None if key is None else sheet.title
    dialect = Dialect(".xlsx", header=named, skipped=others or None, sheet=title)
    return dataclasses.replace(raw, dialect=dialect)


def _filled(
    sheet: Any, skipped: set[int], source: str
) -> tuple[list[tuple[int, dict[int, Any]]], dict[int, str]]:
    """The cells of each row that has some, by their columns, and the rows that are left out.

    Raises `InputError` for a sheet of more rows than there are, or of so many cells that nearly all
    of them must be empty: a single cell far out makes all before it.
    """
    # What a sheet says of its size is not what is in it.
    sheet.reset_dimensions()
    filled, others, seen = [], {}, 0
    for at, row in enumerate(sheet.iter_rows(values_only=True), 1):
        seen += len(row)
        if at > SHEET_ROWS or seen > _MOST:
            raise InputError(
                f"{source} has more than {SHEET_ROWS:,} rows or {_MOST:,} cells: save it as a .csv "
                "or a .parquet file"
            )
        if at in skipped:
            others[at] = "\t".join(map(_text, row))
        elif found := {k: value for k, value in enumerate(row) if not _is_empty(value)}:
            filled.append((at, found))
    return filled, others


def _text(value: Any) -> str:
    return "" if is_missing(value) else str(value)


def _is_empty(value: Any) -> bool:
    return is_missing(value) or (isinstance(value, str) and not value.strip())
