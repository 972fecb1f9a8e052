"""Tables with columns of all kinds, read as states of numbers and symbols."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar, cast

from pushforward._extras import require
from pushforward.data import formats
from pushforward.data.cells import Cells
from pushforward.data.columns import choose, closest, listed
from pushforward.data.dataset import Data
from pushforward.data.dialect import Dialect
from pushforward.data.found_kinds import found_kind, given_kind
from pushforward.data.identifiers import NAMELESS
from pushforward.data.kinds import Kind
from pushforward.data.options import given_options
from pushforward.data.schema import Schema
from pushforward.data.table_files import TABLES, TEXTS
from pushforward.data.table_format import TableFormat
from pushforward.data.text_lines import TextLines
from pushforward.data.texts import form_of
from pushforward.errors import InputError

__all__ = ["TextTable", "is_mixed", "read_mixed", "reading_kinds", "table_of"]

F = TypeVar("F", bound=Callable[..., Data])

_WRITTEN = ("decimal", "thousands", "missing")
_LAID_OUT = ("header", "encoding", "skip")
_TAKEN = frozenset({"kinds", "columns", "key", "name", *_WRITTEN, *_LAID_OUT})
_SOME = 10_000
"""Rows that are looked at to see whether a table is of numbers alone."""
_LEAST = 20
"""Rows without which words tell nothing: with fewer, a word is a mistake more likely."""


@dataclasses.dataclass(frozen=True)
class TextTable:
    """A table of text cells.

    Args:
        cells: by column.
        source: the file or object that errors name.
        notation: how its numbers are written.
        dialect: how its text is.
        notes: what to know of how it was read.
    """

    cells: dict[str, list[str]]
    source: str
    notation: Cells
    dialect: Dialect | None = None
    notes: tuple[str, ...] = ()

    def kinds(self, given: Mapping[str, Any] | str | None) -> dict[str, Kind]:
        """The kind of each column: as given, or as found where nothing is said.

        Raises `InputError` for columns that are not there, and as `kinds.found_kind` does.
        """
        said = {} if given in (None, "auto") else given
        if not isinstance(said, Mapping):
            raise InputError(
                f"kinds= is 'auto', or the kinds of some columns, such as {{'age': 'count'}}, not "
                f"{given!r}"
            )
        unknown = next((name for name in said if name not in self.cells), None)
        if unknown is not None:
            raise InputError(
                f"kinds: {self.source} has no column {unknown!r}{closest(unknown, [*self.cells])}, "
                f"but {listed([*self.cells])}"
            )
        found = {}
        for name, own in self.cells.items():
            present = [cell for cell in own if not self.notation.is_missing(cell)]
            where = (present, self.notation, self.source)
            if name in said:
                found[name] = given_kind(name, str(said[name]), *where)
            else:
                found[name] = found_kind(name, *where)
        return found


def table_of(
    source: Any,
    columns: Any = None,
    key: Any = None,
    *,
    rows: int | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    skip: int | Sequence[int] = 0,
    **written: Any,
) -> TextTable:
    """The cells of a table in a file, a data frame, or a dictionary of columns.

    Args:
        source: what to read.
        columns: which of its columns, as for `load`.
        key: which sheet of a workbook.
        rows: the first of them alone.
        header, encoding, skip: of text, as for `load`.
        written: `decimal`, `thousands` and `missing` of `cells.Cells`.

    Raises `InputError` for what is no table.
    """
    known = Cells(**written)
    if isinstance(source, str | Path) and _suffix(Path(source)) in TEXTS:
        lines = TextLines(Path(source), encoding or "utf-8-sig", skip, known)
        try:
            return _of_text(lines, columns, header, rows)
        except UnicodeDecodeError as error:
            raise InputError(
                f"{source} is not {encoding or 'UTF-8'} text (byte "
                f"{error.object[error.start]:#04x}): say its encoding, such as encoding='cp1252'"
            ) from None
    names, found, place = _of_types(source, key)
    chosen, _ = choose(names, place, None, columns)
    whole = {names[i]: found[i][:rows] for i in chosen}
    if not whole or not next(iter(whole.values())):
        raise InputError(f"{place} has no rows")
    return TextTable(whole, place, known)


def _of_text(lines: TextLines, columns: Any, header: bool | None, rows: int | None) -> TextTable:
    source = str(lines.path)
    names, _, named_at = lines.names(header)
    body = islice((line for line in lines.records() if line[0] > named_at), rows)
    records = []
    for number, cells in body:
        if len(cells) == len(names) + 1 and not cells[-1].strip():
            cells = cells[:-1]
        if len(cells) != len(names):
            raise InputError(
                f"{source}, line {number}: {len(cells)} cells where {len(names)} were expected"
            )
        records.append(cells)
    if not records:
        raise InputError(f"{source} has no rows")
    chosen, _ = choose(names, source, None, columns)
    if len({names[i] for i in chosen}) < len(chosen):
        raise InputError(f"{source} has columns of one name, which cannot be told apart")
    by_column = list(zip(*records, strict=True))
    notes: tuple[str, ...] = ()
    if columns is None and NAMELESS.fullmatch(names[0].strip()) and len(names) > 1:
        own = [cell.strip() for cell in by_column[0]]
        if own in ([str(k + first) for k in range(len(own))] for first in (0, 1)):
            chosen = chosen[1:]
            notes = ("the first column, which has no name and numbers the rows, was left out",)
    dialect = lines.dialect(header=named_at > 0)
    columns_of = {names[i]: [cell.strip() for cell in by_column[i]] for i in chosen}
    return TextTable(columns_of, source, lines.cells, dialect, notes)


def _of_types(source: Any, key: Any) -> tuple[list[str], list[list[str]], str]:
    """Names and cells of what has types: a data frame, columns by name, or a file of such."""
    place = "the table"
    if isinstance(source, str | Path):
        path, place = Path(source), str(source)
        if not path.is_file():
            raise InputError(f"{path} is no table: kinds= are of the columns of a file, a data "
                             "frame or a dictionary of columns")  # fmt: skip
        pandas = require("pandas", extra="data", purpose="read tables of types")
        suffix = _suffix(path)
        readers: dict[str, Any] = {
            ".parquet": pandas.read_parquet, ".feather": pandas.read_feather,
            ".arrow": pandas.read_feather,
            ".xlsx": lambda file: pandas.read_excel(file, sheet_name=0 if key is None else key),
            **dict.fromkeys((".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz"),
                            lambda file: pandas.read_json(file, lines=True, dtype=False)),
        }  # fmt: skip
        if suffix not in readers:
            raise InputError(
                f"{path}: kinds= are of the columns of a table, one of {', '.join(TABLES)}"
            )
        source = readers[suffix](path)
    loaded = sys.modules.get("pandas")
    if loaded is not None and isinstance(source, loaded.DataFrame):
        names = [str(name) for name in source.columns]
        return names, [_texts(list(source.iloc[:, k])) for k in range(len(names))], place
    if isinstance(source, Mapping):
        return list(map(str, source)), [_texts(list(own)) for own in source.values()], place
    raise InputError(
        f"kinds= are of the columns of a file, a data frame or a dictionary of columns, not of a "
        f"{type(source).__name__}"
    )


def _texts(values: Sequence[Any]) -> list[str]:
    """Values of any type as the cells of a text table."""
    from pushforward.data.value_columns import is_missing

    present = [value for value in values if not is_missing(value)]
    floats = [value for value in present if isinstance(value, float)]
    # Whole numbers beside missing ones, as pandas has them.
    whole = bool(floats) and all(float(value).is_integer() for value in floats)
    moments = [value for value in present if hasattr(value, "isoformat")]
    days = all(str(value)[10:] in ("", " 00:00:00") for value in moments)

    def text(value: Any) -> str:
        if is_missing(value):
            return ""
        if whole and isinstance(value, float):
            return str(int(value))
        if moments and hasattr(value, "isoformat"):
            return str(value)[:10] if days else str(value)[:19]
        return str(value).strip()

    return [text(value) for value in values]


def _suffix(path: Path) -> str:
    """The whole suffix of the format of a file, such as `.csv.gz`."""
    return path.name.lower().removeprefix(formats.stem(path).lower())


def is_mixed(source: Any, options: Mapping[str, Any]) -> bool:
    """Whether a text table has columns that are not of numbers: words, dates, truths, or missing
    cells. Nothing is said of what is no such table, such as a text of many lines, or is wrong with
    it."""
    path = Path(str(source))
    if not path.is_file() or _suffix(path) not in TEXTS:
        return False
    if form_of(path, options.get("kind")) is not None:
        return False
    own = {k: v for k, v in options.items() if k in ("columns", *_WRITTEN, *_LAID_OUT)}
    try:
        table = table_of(source, rows=_SOME, **own)
        kinds = table.kinds(None)
    except InputError:
        return False
    if len(next(iter(table.cells.values()))) < _LEAST:
        return False
    known = table.notation
    missing = any(known.is_missing(cell) for own in table.cells.values() for cell in set(own))
    # Codes such as 01067 are categories without being text.
    words = any(
        kind.name == "category" or known.is_text(table.cells[name][0])
        for name, kind in kinds.items()
        if kind.name in ("category", "boolean", "date")
    )
    return missing or words


def read_mixed(source: Any, options: Mapping[str, Any], like: Schema | None = None) -> Data:
    """A table with its columns coded by their kinds, or as those of a schema.

    Raises `InputError` for options that mean nothing for such a table, and for cells that do not
    fit the kinds or the schema.
    """
    given = given_options(options)
    label = given.pop("label", None)
    if label is not None or "given" in given:
        raise InputError(
            "in a table with kinds all columns are learned together, and any of them can be given "
            "when drawing (sample --given): leave label= and given= out"
        )
    odd = sorted(set(given) - _TAKEN)
    if odd:
        raise InputError(f"{odd[0]}= means nothing for a table with kinds: leave it out")
    own = {k: v for k, v in given.items() if k not in ("kinds", "name")}
    if like is not None:
        own.pop("columns", None)
    table = table_of(source, **own)
    notes = list(table.notes)
    if like is None:
        kinds = table.kinds(given.get("kinds"))
        made = TableFormat.fitted(table.cells, kinds, table.notation)
    else:
        assert like.mixed is not None
        made = like.mixed
        absent = [name for name in made.names if name not in table.cells]
        if absent:
            raise InputError(
                f"{table.source} has no column {listed(absent)}, which the model was trained on; "
                f"it has {listed([*table.cells])}"
            )
        extra = [name for name in table.cells if name not in made.names]
        if extra:
            notes.append(f"{table.source}: left out {listed(extra)}, which the model does not know")
    x = made.states(table.cells, table.notation, table.source)
    dialect = table.dialect if like is None else like.dialect
    is_file = isinstance(source, str | Path)
    name = given.get("name") or (formats.stem(Path(source)) if is_file else "table")
    origin = None
    if is_file:
        kept = {k: v for k, v in given.items() if k != "name"}
        origin = {"source": str(Path(source).resolve()), **kept}
        origin.setdefault("kinds", "auto")
    return Data(
        x,
        name=name,
        kind="state",
        source=table.source if is_file else "memory",
        schema=Schema(mixed=made, dialect=dialect),
        states=made.words,
        notes=tuple(notes),
        origin=origin,
    )


def reading_kinds(load: F) -> F:
    """A reader of data that also takes `kinds=`, and tables `like` others that have kinds."""

    @wraps(load)
    def reading(
        source: Any, *, kinds: Any = None, like: Any = None, space: Any = None, **options: Any
    ) -> Data:
        known = like.schema if isinstance(like, Data) else like
        if isinstance(source, Data) or (kinds is None and getattr(known, "mixed", None) is None):
            if isinstance(source, Data) and source.schema.mixed is not None:
                return source
            return load(source, like=like, space=space, **options)
        options = {k: v for k, v in options.items() if k != "double"}
        found = known if known is not None and known.mixed is not None else None
        return read_mixed(source, {**options, "kinds": kinds}, found)

    return cast(F, reading)
