"""Text tables: `.csv`, `.tsv`, `.txt` and `.dat`, also compressed, with errors that name the line.

Where `pyarrow` is installed it reads the rows, several times faster. What it cannot read, and what
is wrong with it, is for the reader in this file, which needs nothing but the standard library and
reads the same numbers.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from functools import cache
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from pushforward.data.arrow_tables import TableRows, read_rows
from pushforward.data.cells import Cells
from pushforward.data.columns import choose
from pushforward.data.declared import require_room
from pushforward.data.levels import coded
from pushforward.data.measured import count_lines
from pushforward.data.misread import all_but, are_words, explain
from pushforward.data.raw import Raw
from pushforward.data.text_columns import TextColumn, column_of
from pushforward.data.text_lines import SPACES, Line, TextLines
from pushforward.errors import InputError

__all__ = ["read_table"]

BLOCK = 200
"""Lines at a time: more of them keep the garbage collector busy."""
SEEN = 10_000
"""TableRows after which is said what is wrong with them."""
SMALL = 1 << 19
"""Bytes of a file that is read before Arrow has been imported."""


def read_table(
    path: Path,
    label: str | int | bool | None = None,
    columns: Sequence[str | int] | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    skip: int | Sequence[int] = 0,
    **written: Any,
) -> Raw:
    """A table of numbers, one row a line, with an optional column of labels.

    Cells are separated by tabs, semicolons, commas or `|`: the first of these that the first line
    shows; in `.txt` and `.dat` files without any, by white space. Quoted cells, blank lines, a
    byte-order mark and `#` comments at the top are understood; a comment right above the data with
    a name for each column is its header, as numpy.savetxt writes it. `header=None` takes the first
    line for names unless it reads like the second; columns without names are called `0`, `1`, ...
    A last column that is empty and has no name comes from a mark at the end of each line: it is
    left out, with a note.

    Args:
        path: the file; if its name ends in `.gz`, it is unpacked.
        label: the column of labels, by name or number.
        columns: the features, by name, number or range.
        header: whether the first line names the columns.
        encoding: of the text; UTF-8 by default.
        skip: how many lines at the top to leave out, or the numbers of lines, from 1.
        written: `decimal`, `thousands`, `missing`, `since` and `given` of `cells.Cells`.

    Raises `InputError` naming line and column for text among the numbers, lines of another length,
    and files that are not text.
    """
    lines = TextLines(path, encoding or "utf-8-sig", skip, Cells(**written))
    try:
        return _read(lines, label, columns, header)
    except UnicodeDecodeError as error:
        raise InputError(_not_text(lines, error)) from None
    except LookupError:
        raise InputError(f"encoding={encoding!r} is not known; 'utf-8' and 'cp1252' are") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path} is damaged or not a .gz file ({error}): save it again") from None


def _read(
    lines: TextLines, label: Any, columns: Sequence[str | int] | None, header: bool | None
) -> Raw:
    source = str(lines.path)
    most = count_lines(lines.path)
    names, opening, named_at = lines.names(header)
    chosen, target = choose(names, source, label, columns)
    # Arrow's numbers and these are there at one time.
    require_room((most, len(chosen)), "float64", source, copies=2)
    rows = _quickly(lines, names, opening, chosen, target)
    if rows is None:
        rows = _carefully(lines, names, chosen, target, named_at)
    notes: tuple[str, ...] = ()
    last = len(names) - 1
    nameless = (
        columns is None and [last] == chosen[-1:] != chosen and not (named_at and names[last])
    )
    if nameless and bool(np.isnan(rows.x[:, -1]).all()):
        rows = TableRows(rows.x[:, :-1], rows.labels, rows.words[:-1])
        chosen = chosen[:-1]
        notes = ("the last column, which is empty and has no name, was left out",)
    firsts = _firsts(lines, rows, chosen, named_at)
    known = tuple(
        column_of(names[i], rows.x[:, k], firsts[k], rows.words[k], source,
                  all_but(names, chosen, [i]))
        for k, i in enumerate(chosen)
    )  # fmt: skip
    numbers = cache(lambda: lines.numbers(named_at))
    return Raw(
        rows.x,
        rows.labels,
        source,
        row=lambda i: f"line {numbers()[i]}",
        columns=known,
        label=None if target is None else names[target],
        label_at=None if target is None else sum(i < target for i in chosen),
        dialect=lines.dialect(header=named_at > 0 or names != list(map(str, range(len(names))))),
        notes=notes,
    )


def _quickly(
    lines: TextLines,
    names: list[str],
    opening: list[Line],
    chosen: list[int],
    target: int | None,
) -> TableRows | None:
    """The rows as Arrow reads them, if it can."""
    if not opening or lines.mark == SPACES or len(opening[0][1]) != len(names):
        return None
    if lines.path.stat().st_size < SMALL:
        return None
    above, first = opening[0][0] - 1, opening[0][1]
    if max(lines.skipped, default=0) > above:
        return None
    with lines.open_bytes() as file:
        before = b"".join(file.readline() for _ in range(above))
        if before.count(b"\r") != before.count(b"\r\n"):
            return None
        return read_rows(file, first, chosen, target, lines.cells, lines.mark, lines.encoding)


def _carefully(
    lines: TextLines, names: list[str], chosen: list[int], target: int | None, named_at: int
) -> TableRows:
    """The rows, cell by cell where need be. Raises `InputError` for what is no number."""
    columns = [TextColumn(names[i], i, lines.cells) for i in chosen]
    labels: list[str] = []
    texts: dict[int, list[str]] = {c.position: [] for c in columns if c.name in lines.cells.given}
    rows = 0
    body = (line for line in lines.records() if line[0] > named_at)
    start = next(body, None)
    whole = chain([] if start is None else [start], body)

    def check() -> None:
        for column in columns:
            column.settle()
        bad = [column for column in columns if column.faults and not are_words(column)]
        if start is not None and bad:
            raise explain(str(lines.path), columns, names, rows, start[0], target is not None)

    while block := list(islice(whole, BLOCK)):
        numbers, records = zip(*block, strict=True)
        for number, cells in block:
            if len(cells) != len(names):
                raise InputError(_of_another_length(lines, number, cells, names, named_at))
        rows += len(block)
        by_column = list(zip(*records, strict=True))
        for column in columns:
            column.add(numbers, by_column[column.position])
        for position, own in texts.items():
            own += map(str.strip, by_column[position])
        if target is not None:
            labels += map(str.strip, by_column[target])
        if rows >= SEEN:
            check()
    check()
    values, words = [column.values() for column in columns], [column.words for column in columns]
    for k, column in enumerate(columns):
        if column.faults:
            own = texts[column.position]
            values[k], words[k] = coded(column.name, own, lines.cells, str(lines.path))
    return TableRows(np.stack(values, -1), None if target is None else np.array(labels), words)


def _firsts(
    lines: TextLines, rows: TableRows, chosen: list[int], named_at: int
) -> list[str | None]:
    """The first cell of each column that is not missing, as it is written."""
    at = {}
    for k in range(len(chosen) if len(rows.x) else 0):
        column = rows.x[:, k]
        # Nearly always the first row has it.
        row = int(np.isnan(column).argmin()) if np.isnan(column[0]) else 0
        if not np.isnan(column[row]):
            at[k] = row
    firsts: list[str | None] = [None] * len(chosen)
    records = (cells for number, cells in lines.records() if number > named_at)
    for i, cells in enumerate(islice(records, max(at.values(), default=-1) + 1)):
        for k, row in at.items():
            if row == i:
                firsts[k] = cells[chosen[k]]
    return firsts


def _of_another_length(
    lines: TextLines, number: int, cells: list[str], names: list[str], named_at: int
) -> str:
    where = f"{lines.path}, line {number}: {len(cells)} cells where {len(names)} were expected"
    if len(names) < len(cells) and 0 < named_at < number and len(names) == 1:
        return f"{where}: if line {named_at} is a title, leave it out with skip={named_at}"
    return where


def _not_text(lines: TextLines, error: UnicodeDecodeError) -> str:
    byte = f"byte {error.object[error.start]:#04x}"
    with lines.open_bytes() as file:
        start = file.read(2)
    known = "UTF-8" if lines.encoding == "utf-8-sig" else lines.encoding
    for other in ("utf-16",) if start in (b"\xff\xfe", b"\xfe\xff") else ("cp1252", "latin-1"):
        try:
            with TextLines(lines.path, other, 0, lines.cells).open() as file:
                for _ in file:
                    pass
        except UnicodeDecodeError:
            continue
        return f"{lines.path} is not {known} text ({byte}): read it with encoding={other!r}"
    return f"{lines.path} is not {known} text ({byte}): save it again as CSV UTF-8"
