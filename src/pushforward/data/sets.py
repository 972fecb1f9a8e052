"""Sets of points of varying size from long tables, `id=` saying which set a row is of, and from
arrays of points with the lengths of their sets."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence, Set
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from pushforward import state
from pushforward.data import formats
from pushforward.data.column import Column
from pushforward.data.column_values import described
from pushforward.data.columns import closest, listed, names_of
from pushforward.data.dataset import Data
from pushforward.data.mixed_tables import TextTable, table_of
from pushforward.data.options import given_options
from pushforward.data.schema import Schema
from pushforward.data.set_format import SetFormat
from pushforward.data.set_lists import are_lists, check_kinds_are_known, read_lists
from pushforward.data.set_rows import check_rows, check_words, codes_in, grouped, numbers_in
from pushforward.data.told_columns import told_columns
from pushforward.errors import InputError

__all__ = ["in_clouds", "reading_sets", "with_told_kinds"]

F = TypeVar("F", bound=Callable[..., Data])

_LAID_OUT = (
    "columns",
    "key",
    "header",
    "encoding",
    "skip",
    "decimal",
    "thousands",
    "missing",
    "since",
)
_TAKEN = {*_LAID_OUT, "id", "marks", "name", "label", "given"}
_MOST_KINDS = 200


def reading_sets(load: F) -> F:
    """A reader of data that also takes `id=` and `marks=`: the rows of a table are points of sets.

    A set without points is a row with an id and nothing else. Points that coincide are allowed, and
    counted in `Data.notes`; words are marks; rows of one set need not stand together.

    Raises `InputError` for missing or infinite coordinates, for marks that the data of `like` do
    not have, and for sets of more points than these.
    """

    @wraps(load)
    def reading(
        source: Any, *, space: Any = None, like: Any = None, id: Any = None, **options: Any
    ) -> Data:
        known = like.schema if isinstance(like, Data) else like
        if isinstance(source, Data):
            if source.schema.sets is not None and space is not None:
                return in_clouds(source, space)
            return load(source, space=space, like=like, id=id, **options)
        sets = getattr(known, "sets", None)
        if are_lists(source) and (sets is not None or space is None or _of_sets(space)):
            _refuse(given_options({**options, "id": id}), {"name", "double"})
            found = read_lists(source, known if sets is not None else None, options.get("name"))
            return found if space is None else in_clouds(found, space)
        others = options.get("kind") is not None or getattr(known, "functions", None) is not None
        if others or (id is None and sets is None):
            if _of_sets(space):
                check_kinds_are_known(source, space.kinds)
            return load(source, space=space, like=like, id=id, **options)
        found = _read(source, {**options, "id": id}, known if sets is not None else None)
        return found if space is None else in_clouds(found, space)

    return cast(F, reading)


def with_told_kinds(space: Any, made: SetFormat) -> Any:
    """A space of point sets with the kinds of marks that the data have.

    Raises `InputError` for a space of something else, and for other kinds.
    """
    kinds = getattr(space, "kinds", None)
    if kinds is None:
        raise InputError(
            f"id= says which set of points a row is of, and {space} is no space of sets: take "
            "space=points, or leave id= out"
        )
    if kinds in ((), made.kinds):
        return dataclasses.replace(space, kinds=made.kinds)
    raise InputError(f"the data have marks of {made.kinds} kinds, not of {kinds}: leave kinds= out")


def in_clouds(data: Data, space: Any) -> Data:
    """Sets that were read, as states of a space of point sets. Raises `InputError` for another."""
    made = data.schema.sets
    assert made is not None
    own = with_told_kinds(space, made)
    if isinstance(data.x, own.state_type):
        own.check(data.x)
        return data
    names = ("x", "mask", "kinds")
    try:
        x = own.from_arrays(dict(zip(names, data.x, strict=False)))
    except InputError as error:
        raise InputError(f"{data.source}: {error}") from None
    x = own.units(state.event_shape(x)).narrowed(x)
    return dataclasses.replace(data, x=x)


def _of_sets(space: Any) -> bool:
    return hasattr(space, "kinds") and hasattr(space, "center")


def _refuse(given: Mapping[str, Any], taken: Set[str]) -> None:
    odd = sorted(set(given) - taken)
    if odd:
        raise InputError(f"{odd[0]}= means nothing for sets of points: leave it out")


def _read(source: Any, options: Mapping[str, Any], like: Schema | None) -> Data:
    given = given_options(options)
    given.pop("double", None)
    _refuse(given, _TAKEN)
    own = {key: given[key] for key in _LAID_OUT if key in given}
    known = None if like is None else like.sets
    if known is not None:
        own.pop("columns", None)
        own.setdefault("since", known.since)
    table = table_of(source, **own)
    names, notes = [*table.cells], list(table.notes)
    id_name = str(given.get("id") or (known.id.name if known is not None else ""))
    if known is not None and "id" not in given:
        known.check_names(names, table.source)
    if id_name not in names:
        raise InputError(
            f"id={id_name!r}: {table.source} has no such column{closest(id_name, names)}, but "
            f"{listed(names)}; for values of functions, say kind=functions"
        )
    numbers, ids = grouped(table, id_name)
    label, told = given.get("label"), names_of(given.get("given"))
    if like is not None:
        label = like.label if like.label in names else None
        told = [column.name for column in like.given if column.name in names]
    table, c, schema = told_columns(table, label, told, id_name, like, whole="set", part="point")
    rest = [name for name in table.cells if name != id_name]
    if known is not None:
        learned = [column.name for column in (*known.coordinates, *known.marks)]
        extra = [name for name in rest if name not in learned]
        rest = [name for name in rest if name in learned]
        if extra:
            notes.append(f"{table.source}: left out {listed(extra)}, which the model does not know")
    if not rest:
        raise InputError(f"{table.source} has no column beside its ids: there are no coordinates")
    missing = np.array([
        [table.notation.is_missing(cell) for cell in table.cells[name]] for name in rest
    ])  # fmt: skip
    nothing = np.asarray(missing.all(0), dtype=bool)
    check_rows(table, rest, missing & ~nothing, numbers, nothing, ids)
    if known is None:
        made = _format(table, id_name, rest, nothing, names_of(given.get("marks")), ids, numbers)
    else:
        known.check_names(names, table.source)
        made = known
    places = np.stack([numbers_in(table, c.name, nothing) for c in made.coordinates], 1)
    marks = np.zeros((len(numbers), len(made.marks)), dtype=np.int64)
    for k, mark in enumerate(made.marks):
        marks[:, k] = codes_in(table, mark, nothing)
    which = np.where(nothing, -1, numbers)
    sizes = np.bincount(which[which >= 0], minlength=len(ids))
    if known is not None and sizes.max(initial=0) > made.slots:
        at = int(sizes.argmax())
        raise InputError(
            f"{table.source}: set {ids[at]!r} has {sizes[at]} points, but the model knows sets of "
            f"up to {made.slots}: leave such sets out, or train with them"
        )
    notes += _remarks(which, places, ids, sizes)
    x = made.arrays(which, places, marks, len(ids))
    dialect = table.dialect if like is None else like.dialect
    # The format of the sets says where all columns stand.
    schema = dataclasses.replace(schema, sets=made, label_at=None, given_at=(), dialect=dialect)
    is_file = isinstance(source, str | Path)
    origin = None
    if is_file:
        kept = {key: value for key, value in given.items() if key != "name"}
        origin = {"source": str(Path(source).resolve()), **kept, "id": id_name}
    return Data(
        x,
        c,
        name=given.get("name") or (formats.stem(Path(source)) if is_file else "sets"),
        kind="state",
        source=table.source if is_file else "memory",
        schema=schema,
        states=made.words,
        notes=tuple(notes),
        origin=origin,
    )


def _format(
    table: TextTable,
    id_name: str,
    rest: Sequence[str],
    nothing: NDArray[np.bool_],
    wanted: Sequence[str],
    ids: Sequence[str],
    numbers: NDArray[np.int64],
) -> SetFormat:
    """Which columns are coordinates and which are marks."""
    unknown = [name for name in wanted if name not in rest]
    if unknown:
        raise InputError(
            f"marks={','.join(wanted)}: {table.source} has no such column as {unknown[0]!r}"
            f"{closest(unknown[0], rest)}, but {listed([*rest])}"
        )
    coordinates, marks = [], []
    for name in rest:
        cells = [cell for cell, gap in zip(table.cells[name], nothing, strict=True) if not gap]
        texts = [cell for cell in cells if table.notation.is_text(cell)]
        if name in wanted or (texts and len(texts) == len(cells)):
            if name not in wanted:
                check_words(table, name, cells)
            words = sorted(set(cells))
            if len(words) > _MOST_KINDS:
                raise InputError(
                    f"{table.source}, column {name!r} has {len(words)} different values, such as "
                    f"{words[0]!r}: marks have at most {_MOST_KINDS}, so leave it out with columns="
                )
            whole = all(word.lstrip("-").isdigit() for word in words)
            words = sorted(words, key=int) if whole else words
            levels = tuple(map(float, range(len(words))))
            marks.append(Column(name, "int64" if whole else "str", levels, tuple(words)))
        else:
            values = numbers_in(table, name, nothing)[~nothing]
            whole = not any("." in cell or "e" in cell.lower() for cell in cells)
            whole = whole and bool((values == values.round()).all())
            column = Column(name, "int64" if whole else "float64")
            coordinates.append(described((column,), values[:, None], table.dialect)[0])
    if not coordinates:
        raise InputError(
            f"{table.source} has no column of numbers beside its ids: points have places, and "
            "words are marks"
        )
    sizes = np.bincount(numbers[~nothing], minlength=len(ids))
    if not sizes.any():
        raise InputError(f"{table.source} has no points: all of its sets are empty")
    kind = "int64" if all(word.lstrip("-").isdigit() for word in ids) else "str"
    order, columns = tuple(table.cells), (tuple(coordinates), tuple(marks))
    return SetFormat(Column(id_name, kind), order, *columns, int(sizes.max()), table.notation.since)


def _remarks(
    which: NDArray[np.int64], places: NDArray[Any], ids: Sequence[str], sizes: NDArray[Any]
) -> list[str]:
    """What to know of the sets: how many are empty, and how many points coincide."""
    notes = []
    empty = int((sizes == 0).sum())
    if empty:
        notes.append(f"{empty:,} of {len(ids):,} sets have no points")
    there = which >= 0
    both = np.concatenate([which[there, None], places[there]], 1)
    same = len(both) - len(np.unique(both, axis=0))
    if same:
        notes.append(
            f"{same:,} of {len(both):,} points lie where another point of their set does: they are "
            "kept, but densities are infinite there"
        )
    return notes
