"""Spreadsheets: `.xlsx`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from pushforward._extras import require
from pushforward.data.cells import Cells
from pushforward.data.columns import closest
from pushforward.data.declared import check_inflation
from pushforward.data.dialect import Dialect
from pushforward.data.frames import read_values
from pushforward.data.raw import Raw
from pushforward.data.text_lines import reads_like_names
from pushforward.data.value_columns import is_missing
from pushforward.errors import InputError

__all__ = ["read_sheet"]


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
                check_inflation(part, f"{path}, {part.filename!r}")
        book = openpyxl.load_workbook(path, read_only=True, data_only=True, keep_links=False)
    except InputError:
        raise
    except (
        BadZipFile,
        KeyError,
        ValueError,
        OSError,
        openpyxl.utils.exceptions.InvalidFileException,
    ):
        raise InputError(f"{path} is damaged or not an .xlsx file: save it again") from None
    try:
        if key is not None and key not in book.sheetnames:
            known = ", ".join(book.sheetnames)
            raise InputError(
                f"{path} has no sheet {key!r}{closest(key, book.sheetnames)}; it has {known}"
            )
        sheet = book[key or book.sheetnames[0]]
        rows = list(enumerate(sheet.iter_rows(values_only=True), 1))
    finally:
        book.close()
    skipped = set(range(1, skip + 1) if isinstance(skip, int) else skip)
    others = {at: "\t".join(map(_text, row)) for at, row in rows if at in skipped}
    rows = [(at, row) for at, row in rows if at not in skipped and not all(map(_is_empty, row))]
    source = f"{path}, sheet {sheet.title!r}"
    if not rows:
        raise InputError(f"{source} is empty")
    width = max(len(row) for _, row in rows)
    rows = [(at, (*row, *[None] * (width - len(row)))) for at, row in rows]
    used = [k for k in range(width) if not all(_is_empty(row[k]) for _, row in rows)]
    table = [[row[k] for k in used] for _, row in rows]
    places = [at for at, _ in rows]
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


def _text(value: Any) -> str:
    return "" if is_missing(value) else str(value)


def _is_empty(value: Any) -> bool:
    return is_missing(value) or (isinstance(value, str) and not value.strip())
