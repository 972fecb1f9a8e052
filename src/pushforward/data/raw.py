"""What every reader hands on, and the checks that turn it into `Data`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward import state
from pushforward._precision import narrowed
from pushforward.data.column_values import described, entries_of
from pushforward.data.coordinate_columns import coordinates_in, located_in
from pushforward.data.dataset import Data
from pushforward.data.dialect import Dialect
from pushforward.data.identifiers import index_columns
from pushforward.data.labels import encode
from pushforward.data.layouts import arrange
from pushforward.data.level_checks import check_levels
from pushforward.data.numbers import numbers_of
from pushforward.data.schema import Column, Schema, Value
from pushforward.errors import InputError
from pushforward.vocabulary import Vocabulary

__all__ = ["Raw", "assemble", "counted", "from_memory", "in_space"]

BYTES = (256, (0.0, 255.0))
"""The levels and the range of every array of bytes."""

Named = dict[str, Any]
"""Arrays by name; the parts of one that is made of several are named in it."""

_LARGEST = 1e150  # float64 holds its square, and sums of those


def counted(i: int) -> str:
    """How an array's row is named in errors.

    >>> counted(3)
    'row 3 (counting from 0)'
    """
    return f"row {i} (counting from 0)"


@dataclass(frozen=True)
class Raw:
    """Numbers as a reader found them.

    Args:
        x: numeric array `(N, ...)`, of any real dtype; or several by name, nested, which together
            are states of a space.
        labels: `(N,)` numbers or text, or `None`.
        source: the file, folder or object that errors name.
        row: how errors name row `i`: "line 7", "file cat/3.png".
        columns: the features of a table; empty for data without names.
        label: the name of the column, or array, that the labels came from, if it has one.
        label_dtype, label_at, dialect: as in `Schema`.
        key: the name of the array, in a file of several.
        levels: the number of equally spaced values over `value_range`, if discrete.
        value_range: the range that the format allows.
        classes: the values of the classes, for labels that are their numbers.
        notes: what to know of how it was read.
        captions: a text for each row, in the place of labels; empty without.
    """

    x: NDArray[Any] | Named
    labels: NDArray[Any] | None
    source: str
    row: Callable[[int], str] = counted
    columns: tuple[Column, ...] = ()
    label: str | None = None
    label_dtype: str | None = None
    label_at: int | None = None
    dialect: Dialect | None = None
    key: str | None = None
    levels: int | None = None
    value_range: tuple[float, float] | None = None
    classes: tuple[Value, ...] = ()
    notes: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()


def assemble(
    raw: Raw,
    *,
    name: str,
    space: Any = None,
    kind: str | None = None,
    layout: str | None = None,
    levels: int | None = None,
    value_range: tuple[float, float] | None = None,
    drop_nonfinite: bool = False,
    double: bool = False,
    coordinates: Any = None,
    project: bool = False,
) -> Data:
    """Check a reader's numbers and make them `Data`, or states of a space.

    They become float32, unless a column would lose its resolution (`narrowed`) or `double` asks
    for float64. Columns that are `coordinates` of the space, as is asked for or as their names say,
    become its states, with `project` the nearest ones.

    Raises `InputError` for no rows, rows without numbers, values that are not finite or that
    float64 cannot tell apart either, labels that are not classes, values off the grid that `levels`
    promises, and what are no states of the space.

    >>> print(assemble(Raw(np.eye(3), None, "an array"), name="eye"))
    eye: 3 vectors of 3
    """
    if isinstance(raw.x, dict):
        if coordinates is not None or project:
            raise InputError(f"{raw.source} holds states already: leave coordinates= out")
        return _assemble_named(raw, name, space, drop_nonfinite, double)
    x = raw.x
    if x.ndim == 0:
        raise InputError(f"{raw.source} is a single number: data has one row per data point")
    if x.ndim == 1:
        x = x[:, None]
    _check_size(x, raw.source)
    index, notes = index_columns(raw.columns, x, raw.source)
    if index:
        x = x[:, index:]
        at = None if raw.label_at is None else max(raw.label_at - index, 0)
        raw = dataclasses.replace(
            raw, columns=raw.columns[index:], label_at=at, notes=(*raw.notes, *notes)
        )
    dtype = x.dtype
    guessed = None if space is None or space.pictures else "vector"
    arranged = arrange(x, kind or guessed, layout, raw.source)
    x = arranged.x
    keep = _finite_rows(x, raw, drop_nonfinite)
    numbers = np.flatnonzero(keep)
    c, classes = _labels(raw, keep)
    words = Vocabulary.of(raw.captions) if raw.captions else None
    if words is not None:
        c = words.encode([raw.captions[i] for i in numbers.tolist()])
    if levels is None and value_range is None:
        levels, value_range = raw.levels, raw.value_range
        if levels is None and dtype == np.uint8:
            levels, value_range = BYTES
        elif levels is None and dtype == np.bool_:
            levels, value_range = 2, (0.0, 1.0)
    # A copy: data that changes under its fingerprint would be worse than the memory.
    # numpy does it, as torch knows neither foreign byte orders nor negative strides.
    kept = x if keep.all() else x[keep]
    values = numbers_of(kept, raw.source)
    schema = _schema(raw, classes, kept if values.ndim == 2 else None)
    located = None
    if values.ndim == 2:
        located = coordinates_in(
            raw.source, space, raw.columns, values, coordinates, project=project
        )
    elif coordinates is not None:
        raise InputError(f"{raw.source} has no columns, of which coordinates could be")
    data = Data(
        values if double or located else narrowed(values),
        c,
        name=name,
        kind=arranged.kind,
        levels=levels,
        value_range=value_range,
        source=raw.source,
        schema=dataclasses.replace(schema, layout=arranged.layout, vocabulary=words),
        dropped=int((~keep).sum()),
        rows=_rows(keep),
        notes=(*raw.notes, *arranged.notes),
    )
    if not (dtype == np.uint8 and (data.levels, data.value_range) == BYTES):
        check_levels(data, lambda i: raw.row(int(numbers[i])))
    if located is not None:
        rows = lambda i: raw.row(int(numbers[i]))  # noqa: E731
        return located_in(data, space, located, rows, double=double)
    return data if space is None else in_space(data, space, double=double)


def in_space(
    data: Data,
    space: Any,
    *,
    double: bool = False,
    coordinates: Any = None,
    project: bool = False,
) -> Data:
    """Data whose points are states of a space: numbers become states, and states are checked.

    They are in the least precision that the units of the space need, or in `double`. Columns that
    are `coordinates` become what these say; without a space all stay as they are.

    Raises `InputError` for what are none, with the file.

    >>> from pushforward.spaces import Tokens
    >>> print(in_space(Data(torch.tensor([[0.0, 2.0], [1.0, 1.0]]), name="words"), Tokens(3)))
    words: 2 sequences of 2 tokens out of 3 symbols
    """
    x, known = data.x, data.schema
    if known.coordinates is None and isinstance(x, Tensor) and x.ndim == 2:
        found = coordinates_in(data.name, space, known.columns, x, coordinates, project=project)
        if found is not None:
            return located_in(data, space, found, counted, double=double)
    elif coordinates is not None or project:
        raise InputError(f"{data.name} holds {data.words} already: leave coordinates= out")
    if space is None:
        return data
    try:
        if isinstance(x, Tensor):
            x = space.from_arrays(x)
        space.check(x)
        if not double and any(part.dtype == torch.float64 for part in state.leaves(x)):
            x = space.units(state.event_shape(x)).narrowed(x)
    except InputError as error:
        where = data.name if data.source == "memory" else data.source
        raise InputError(f"{where}: {error}{_coordinates_of(data, space)}") from None
    shape = state.event_shape(x)
    words = space.describe_states(shape)
    if data.kind == "vector":
        # Three axes alone make no picture.
        words = words.replace("images of", "vectors of", 1)
    if x is data.x and words == data.states:
        return data
    changes: dict[str, Any] = {"x": x, "states": words}
    if not (isinstance(x, Tensor) and x.is_floating_point()):
        # Symbols are no levels of a quantity.
        changes |= {"kind": "state", "levels": None, "value_range": None}
    changes["schema"] = _schema_of_states(data, x, space)
    return dataclasses.replace(data, **changes)


def _coordinates_of(data: Data, space: Any) -> str:
    """What columns may be that are no states, where there are such; nothing for other data."""
    kinds = [one.short for one in space.coordinates if not one.plain]
    if not kinds or data.schema.coordinates or not isinstance(data.x, Tensor) or data.x.ndim != 2:
        return ""
    return (
        f". If the columns are coordinates, say which: coordinates={' or '.join(map(repr, kinds))}"
    )


def _schema_of_states(data: Data, x: Any, space: Any) -> Schema:
    """The schema without what is no longer true of states, such as the levels of angles that were
    wrapped."""
    if x is data.x:
        return data.schema
    shape, columns = state.event_shape(x), data.schema.columns
    if len(columns) != state.numel(shape):
        columns = ()
    if columns:
        table, _ = space.to_table(x)
        kept = (table == data.x.reshape(table.shape)).all(0).tolist()
        pairs = zip(columns, kept, strict=True)
        columns = tuple(column if same else Column(column.name) for column, same in pairs)
    same = isinstance(x, Tensor) and x.shape == data.x.shape and bool((x == data.x).all())
    entries = data.schema.entries if same else None
    return dataclasses.replace(data.schema, columns=columns, entries=entries)


def from_memory(
    x: Any, labels: NDArray[Any] | None, space: Any, name: str, *, double: bool = False
) -> Data:
    """States of several parts, a tuple or tensors by name, as `Data`.

    Raises `InputError` for what are no states of the space, numbers that are not finite, or labels
    that do not fit.
    """
    try:
        found = space.from_arrays(x)
        space.check(found)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    fine = state.finite_rows(found)
    if not bool(fine.all()):
        raise InputError(f"{name}: {int((~fine).sum())} of {len(fine)} states are not finite")
    if not double:
        found = space.units(state.event_shape(found)).narrowed(found)
    c, classes = _labels(Raw({}, labels, name), np.ones(len(fine), dtype=bool))
    words = space.describe_states(state.event_shape(found))
    return Data(found, c, name=name, source=name, schema=Schema(classes=classes), states=words)


def _assemble_named(raw: Raw, name: str, space: Any, drop_nonfinite: bool, double: bool) -> Data:
    """States of a space from several arrays."""
    arrays = list(_flat(raw.x))
    sizes = {len(x) for x in arrays}
    if len(sizes) > 1:
        raise InputError(f"{raw.source} has arrays of {sorted(sizes)} rows: give as many of each")
    for x in arrays:
        _check_size(x, raw.source)
    keep = np.logical_and.reduce([_finite_rows(x, raw, drop_nonfinite) for x in arrays])
    c, classes = _labels(raw, keep)
    tensors = _tensors(raw.x, keep, raw.source, double)
    found = from_memory(tensors, None, space, raw.source, double=double)
    schema = _schema(raw, classes, None)
    return dataclasses.replace(
        found, c=c, schema=schema, name=name, dropped=int((~keep).sum()), rows=_rows(keep)
    )


def _rows(keep: NDArray[np.bool_]) -> Tensor | None:
    """The numbers of the rows that are kept; `None` for all."""
    return None if keep.all() else torch.from_numpy(np.flatnonzero(keep))


def _schema(raw: Raw, classes: tuple[Value, ...], table: NDArray[Any] | None) -> Schema:
    """What the columns of a table, or the numbers of an array, and the labels stand for."""
    label, dtype = (raw.label, raw.label_dtype) if classes else (None, None)
    if dtype is None and raw.labels is not None and raw.labels.dtype.kind in "biuf":
        dtype = raw.labels.dtype.name
    if table is not None and raw.columns:
        known, at = described(raw.columns, table, raw.dialect), raw.label_at if classes else None
        return Schema(known, label, classes, dtype, at, raw.dialect)
    entries = None if isinstance(raw.x, dict) else entries_of(raw.x, raw.key or "")
    return Schema((), label, classes, dtype, entries=entries)


def _labels(raw: Raw, keep: NDArray[np.bool_]) -> tuple[Tensor | None, tuple[Value, ...]]:
    """The labels of the rows that are kept, and the values of the classes."""
    if raw.labels is None:
        return None, ()
    if len(raw.labels) != len(keep):
        raise InputError(f"{raw.source} has {len(keep)} rows but {len(raw.labels)} labels")
    numbers = np.flatnonzero(keep)
    c, found = encode(raw.labels[keep], raw.source, lambda i: raw.row(int(numbers[i])))
    if raw.classes:
        # Classes that do not occur keep their numbers.
        return torch.tensor(found, dtype=torch.int64)[c], raw.classes
    return c, found


def _flat(named: Any) -> Iterator[NDArray[Any]]:
    """The arrays of nested names."""
    if not isinstance(named, dict):
        yield named
        return
    for part in named.values():
        yield from _flat(part)


def _tensors(named: Any, keep: NDArray[np.bool_], source: str, double: bool) -> Any:
    """Nested arrays as tensors: whole numbers and truths stay."""
    if isinstance(named, dict):
        return {key: _tensors(part, keep, source, double) for key, part in named.items()}
    if named.dtype.kind == "f":
        values = numbers_of(named[keep], source)
        return values if double else narrowed(values)
    kind = np.bool_ if named.dtype.kind == "b" else np.int64
    return torch.from_numpy(np.array(named[keep], dtype=kind, order="C"))


def _check_size(x: NDArray[Any], source: str) -> None:
    """Raise `InputError` for no rows, or rows without numbers."""
    if len(x) == 0:
        raise InputError(f"{source} has no rows: there is nothing to learn from")
    if 0 in x.shape:
        raise InputError(f"{source} of shape {x.shape} has rows without a number in them")


def _finite_rows(x: NDArray[Any], raw: Raw, drop: bool) -> NDArray[np.bool_]:
    """Which rows are finite, `(N,)`; an error for the first that is not, or whose square is not."""
    keep = np.ones(len(x), dtype=bool)
    if x.dtype.kind != "f":
        return keep
    flat = x.reshape(len(x), -1)
    finite = np.isfinite(flat)
    keep = finite.all(1)
    if not keep.all() and not drop:
        row = int(np.argmin(keep))
        value = flat[row][~finite[row]][0]
        raise InputError(
            f"{raw.source}, {raw.row(row)}{_place(raw, x, finite[row])} holds "
            f"{'nan (a missing value)' if np.isnan(value) else value}; "
            f"{int((~keep).sum())} of {len(x)} rows are not finite: "
            "fill them in, or leave them out with drop_nonfinite=True"
        )
    if not keep.any():
        raise InputError(f"{raw.source}: every one of the {len(x)} rows has a non-finite value")
    if x.dtype.itemsize <= 4:
        return keep
    small = (np.abs(flat) <= _LARGEST) | ~keep[:, None]
    if not small.all():
        row = int(np.argmin(small.all(1)))
        raise InputError(
            f"{raw.source}, {raw.row(row)}{_place(raw, x, small[row])} holds "
            f"{flat[row][~small[row]][0]:g}, beyond {_LARGEST:g}, where squares overflow: "
            "rescale it"
        )
    return keep


def _place(raw: Raw, x: NDArray[Any], good: NDArray[np.bool_]) -> str:
    """Where in a row the first bad entry sits."""
    entry = int(np.argmin(good))
    if raw.columns:
        return f", column {raw.columns[entry].name!r}"
    if x.ndim == 2:
        return f", column {entry}" if x.shape[1] > 1 else ""
    return f", entry {tuple(int(i) for i in np.unravel_index(entry, x.shape[1:]))}"
