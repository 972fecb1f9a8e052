"""Sets of points of varying size from long tables, `id=` saying which set a row is of, and from
arrays of points with the lengths of their sets."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward import state
from pushforward.data import formats
from pushforward.data.column import Column
from pushforward.data.column_values import described
from pushforward.data.columns import closest, listed
from pushforward.data.dataset import Data
from pushforward.data.labels import encode
from pushforward.data.mixed_tables import TextTable, table_of
from pushforward.data.options import given_options
from pushforward.data.schema import Schema
from pushforward.data.set_format import SetFormat
from pushforward.errors import InputError

__all__ = ["in_clouds", "reading_sets", "with_told_kinds"]

F = TypeVar("F", bound=Callable[..., Data])

_LAID_OUT = ("columns", "key", "header", "encoding", "skip", "decimal", "thousands", "missing")
_TAKEN = {*_LAID_OUT, "id", "marks", "name", "label", "given", "since"}
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
        others = options.get("kind") is not None or getattr(known, "functions", None) is not None
        if others or (id is None and sets is None):
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


def _read(source: Any, options: Mapping[str, Any], like: Schema | None) -> Data:
    given = given_options(options)
    given.pop("double", None)
    odd = sorted(set(given) - _TAKEN)
    if odd:
        raise InputError(f"{odd[0]}= means nothing for sets of points: leave it out")
    own = {key: given[key] for key in _LAID_OUT if key in given}
    if like is not None:
        own.pop("columns", None)
    table = table_of(source, **own)
    names, notes = [*table.cells], list(table.notes)
    known = None if like is None else like.sets
    id_name = str(given.get("id") or (known.id.name if known is not None else ""))
    if known is not None and "id" not in given:
        known.check_names(names, table.source)
    if id_name not in names:
        raise InputError(
            f"id={id_name!r}: {table.source} has no such column{closest(id_name, names)}, but "
            f"{listed(names)}; for values of functions, say kind=functions"
        )
    numbers, ids = _grouped(table.cells[id_name])
    label = given.get("label", like.label if like is not None else None)
    label = _present(label, names, table.source, like)
    told = [c.name for c in like.given] if like is not None else _names(given.get("given"))
    told = [name for name in told if like is None or name in names]
    per_set = [*([label] if label else []), *told]
    for name in per_set:
        _check_constant(table, name, numbers)
    rest = [name for name in names if name not in (id_name, *per_set)]
    if known is not None:
        learned = [column.name for column in (*known.coordinates, *known.marks)]
        extra = [name for name in rest if name not in learned]
        rest = [name for name in rest if name in learned]
        if extra:
            notes.append(f"{table.source}: left out {listed(extra)}, which the model does not know")
    missing = np.array([
        [table.notation.is_missing(cell) for cell in table.cells[name]] for name in rest
    ])  # fmt: skip
    nothing = np.zeros(len(numbers), dtype=bool)
    if rest:
        nothing = np.asarray(missing.all(0), dtype=bool)
    _check_rows(table, rest, missing & ~nothing, numbers, nothing, ids)
    if known is None:
        made = _format(table, id_name, rest, nothing, _names(given.get("marks")), ids, numbers)
    else:
        known.check_names(names, table.source)
        made = known
    places = np.stack([_numbers(table, c.name, nothing) for c in made.coordinates], 1)
    marks = np.zeros((len(numbers), len(made.marks)), dtype=np.int64)
    for k, mark in enumerate(made.marks):
        marks[:, k] = _codes(table, mark, nothing)
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
    first = np.unique(numbers, return_index=True)[1]
    c, schema = _conditions(table, label, told, first, like, made)
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
        schema=dataclasses.replace(schema, dialect=table.dialect if like is None else like.dialect),
        states=made.words,
        notes=tuple(notes),
        origin=origin,
    )


def _names(value: Any) -> list[str]:
    """Names as a list, also of a text with commas between."""
    if value is None:
        return []
    return [name.strip() for name in value.split(",")] if isinstance(value, str) else list(value)


def _present(label: Any, names: Sequence[str], source: str, like: Schema | None) -> str | None:
    """The column of the label, if it is there. Raises `InputError` for one that is asked for."""
    if label in names:
        return str(label)
    if label and like is None:
        raise InputError(
            f"label={label!r}: {source} has no such column{closest(str(label), names)}, but "
            f"{listed([*names])}"
        )
    return None


def _grouped(cells: Sequence[str]) -> tuple[NDArray[np.int64], list[str]]:
    """The number of the set of each row, in the order in which they come, and the ids."""
    ids: dict[str, int] = {}
    numbers = np.array([ids.setdefault(cell.strip(), len(ids)) for cell in cells])
    return numbers, [*ids]


def _check_constant(table: TextTable, name: str, numbers: NDArray[np.int64]) -> None:
    """Raise `InputError` for what is said of a set and differs between its points."""
    if name not in table.cells:
        raise InputError(f"{table.source} has no column {name!r}, but {listed([*table.cells])}")
    seen: dict[int, str] = {}
    for row, (number, cell) in enumerate(zip(numbers.tolist(), table.cells[name], strict=True)):
        if seen.setdefault(number, cell) != cell:
            raise InputError(
                f"{table.source}, row {row + 1}: column {name!r} is {cell!r} where another point "
                f"of the same set has {seen[number]!r}: a label, or what is given, is that of a set"
            )


def _check_rows(
    table: TextTable,
    rest: Sequence[str],
    gaps: NDArray[np.bool_],
    numbers: NDArray[np.int64],
    nothing: NDArray[np.bool_],
    ids: Sequence[str],
) -> None:
    """Raise `InputError` for points with a cell missing, and sets that are empty and not."""
    if not rest:
        raise InputError(f"{table.source} has no column beside its ids: there are no coordinates")
    if gaps.any():
        column, row = (int(k) for k in np.argwhere(gaps)[0])
        raise InputError(
            f"{table.source}, row {row + 1}: column {rest[column]!r} has no value for a point of "
            f"set {ids[numbers[row]]!r}: leave the point out, or fill it in; a row with an id and "
            "nothing else is a set without points"
        )
    both = set(numbers[nothing].tolist()) & set(numbers[~nothing].tolist())
    if both:
        raise InputError(
            f"{table.source}: set {ids[min(both)]!r} has points, and a row without values, which "
            "stands for a set without points"
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
            values = _numbers(table, name, nothing)[~nothing]
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
    order = tuple(table.cells)
    return SetFormat(
        Column(id_name, kind), order, tuple(coordinates), tuple(marks), int(sizes.max())
    )


def _numbers(table: TextTable, name: str, nothing: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The numbers of a column, zeros for sets without points."""
    found = np.zeros(len(nothing))
    for row, cell in enumerate(table.cells[name]):
        if nothing[row]:
            continue
        try:
            found[row] = table.notation.number(cell)
        except ValueError:
            raise InputError(
                f"{table.source}, row {row + 1}: {cell!r} in column {name!r} is no number; a "
                f"column of kinds is a mark, marks={name}"
            ) from None
        if not np.isfinite(found[row]):
            raise InputError(
                f"{table.source}, row {row + 1}: {cell!r} in column {name!r} is no place of a point"
            )
    return found


def _codes(table: TextTable, mark: Column, nothing: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The numbers of the values of a mark. Raises `InputError` for one that is not known."""
    number = {word: k for k, word in enumerate(mark.words)}
    found = np.zeros(len(nothing), dtype=np.int64)
    for row, cell in enumerate(table.cells[mark.name]):
        if nothing[row]:
            continue
        if cell not in number:
            raise InputError(
                f"{table.source}, row {row + 1}: the training data have no {mark.name} {cell!r}"
                f"{closest(cell, mark.words)}, but {listed([*mark.words])}"
            )
        found[row] = number[cell]
    return found


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


def _conditions(
    table: TextTable,
    label: str | None,
    told: Sequence[str],
    first: NDArray[np.int64],
    like: Schema | None,
    made: SetFormat,
) -> tuple[Tensor | None, Schema]:
    """The label, or the given columns, of each set, and a schema with these."""
    if label is not None and told:
        raise InputError("a set has a label, or columns that are given: leave label= or given= out")
    if label is not None:
        values = np.array(table.cells[label], dtype=object)[first]
        if like is not None and like.classes:
            known = {str(value): k for k, value in enumerate(like.classes)}
            odd = next((value for value in values if value not in known), None)
            if odd is not None:
                raise InputError(f"{table.source}: the training data have no {label} {odd!r}")
            c = torch.tensor([known[value] for value in values])
            return c, Schema(sets=made, label=label, classes=like.classes)
        c, classes = encode(values, table.source, lambda k: f"set {k}")
        return c, Schema(sets=made, label=label, classes=classes)
    if not told:
        return None, Schema(sets=made)
    parts, columns = [], []
    for name in told:
        own = _numbers(table, name, np.zeros(len(table.cells[name]), dtype=bool))[first]
        whole = bool((own == own.round()).all())
        columns.append(Column(name, "int64" if whole else "float64"))
        parts.append(torch.from_numpy(own))
    given = tuple(columns) if like is None else like.given
    return torch.stack(parts, 1).float(), Schema(sets=made, given=given)
