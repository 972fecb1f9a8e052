"""Functions as data: what `load` makes of tables, arrays and stores with `kind="functions"`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from pushforward._precision import narrowed
from pushforward.data import formats
from pushforward.data.arrays import numeric, read_npy
from pushforward.data.columns import names_of
from pushforward.data.dataset import Data
from pushforward.data.function_format import FunctionFormat
from pushforward.data.function_tables import (
    FoundFunctions,
    known_columns,
    long_table,
    on_known,
    wide_table,
)
from pushforward.data.members import Chosen, read_npz
from pushforward.data.mixed_tables import table_of
from pushforward.data.options import given_options
from pushforward.data.packed import PackedArray
from pushforward.data.places import existing
from pushforward.data.schema import Schema
from pushforward.data.stores import is_store
from pushforward.data.told_columns import told_columns
from pushforward.errors import InputError

__all__ = ["FUNCTIONS", "SPACES", "reading_functions"]

F = TypeVar("F", bound=Callable[..., Data])

FUNCTIONS = "functions"
"""The `kind` of data that are."""

SPACES = (FUNCTIONS, "spherical-functions")
"""The names of the spaces that they are of."""

_OF_TABLES = ("columns", "header", "decimal", "thousands", "missing", "encoding", "skip")
_TAKEN = {
    *(*_OF_TABLES, "key", "id", "coordinates", "periodic", "channels", "name", "double"),
    *("label", "given"),
}


def reading_functions(load: F) -> F:
    """A reader of data that also reads functions, `kind="functions"`, with `id=`.

    These are a table with a row for each function, whose columns are called by their coordinates; a
    table with a row for each value, of which the column `id` says which function it is of,
    `coordinates` where it is (by default the one column after that), and all others are channels;
    an array `(N, *sizes)`, or `(N, C, *sizes)` with `channels=C`; or a store of fields. Empty cells
    are missing values, and so is NaN if `missing="nan"` says so. Of a table, `label` is a column
    that names the class of each function, and `given` are columns of numbers that it is told.
    """

    @wraps(load)
    def reading(
        source: Any,
        *,
        kind: str | None = None,
        id: str | None = None,
        like: Any = None,
        space: Any = None,
        **options: Any,
    ) -> Data:
        schema = like.schema if isinstance(like, Data) else like or Schema()
        known = schema.functions
        if isinstance(source, Data) or (kind != FUNCTIONS and known is None):
            if id is not None:
                raise InputError(
                    f"id={id!r} is for functions and sets of points in a long table: say "
                    "kind=functions, or leave kind= out"
                )
            more = {} if kind is None else {"kind": kind}
            return load(source, like=like, space=space, **more, **options)
        if is_store(source):
            if options.get("weights") not in (None, "none"):
                raise InputError(
                    f"weights={options['weights']!r} is for fields: functions weigh all points of "
                    "a regular grid alike"
                )
            options["weights"] = "none"
            data = _of_store(load(source, like=like, **options), options)
        else:
            data = _read(source, {**options, "id": id}, schema)
        if space is not None:
            try:
                space.check(data.x)
            except InputError as error:
                raise InputError(f"{data.source}: {error}") from None
        return data

    return cast(F, reading)


def _read(source: Any, options: dict[str, Any], like: Schema) -> Data:
    """Functions of a table or an array."""
    given, known = given_options(options), like.functions
    if options.get("label") is False and like.label is not None:
        # The column is known, and is none of the values.
        like = dataclasses.replace(like, classes=())
    if options.get("header") is False:
        given["header"] = False
    odd = sorted(set(given) - _TAKEN)
    if odd:
        raise InputError(
            f"{odd[0]}= means nothing for functions; they take "
            f"{', '.join(f'{name}=' for name in sorted(_TAKEN))}"
        )
    path = None
    if isinstance(source, str | os.PathLike):
        path = existing(source)
    found, c, told = _found(source if path is None else path, given, like)
    if options.get("label") is False:
        c, told = None, Schema()
    if known is not None and known.form == "long":
        found = on_known(found, known)
    made = found.format
    if known is not None:
        known.check_alike(made, str(source if path else "the data"))
        gaps = known.masked or made.masked
        made = dataclasses.replace(known, masked=gaps, ids=made.ids)
    turning = _periodic(given.get("periodic"), made)
    made = dataclasses.replace(made, periodic=turning or made.periodic)
    x = found.x if given.get("double") else narrowed(found.x)
    dialect = None
    origin = None
    if path is not None:
        kept = {key: value for key, value in given.items() if key != "name"}
        origin = {"source": str(path.resolve()), "kind": FUNCTIONS, **kept}
    if made.form in ("wide", "long") and path is not None:
        dialect = table_of(path, rows=1, **_written(given)).dialect
    return Data(
        x,
        c,
        name=given.get("name") or (FUNCTIONS if path is None else formats.stem(path)),
        source="memory" if path is None else str(path),
        schema=dataclasses.replace(told, functions=made, dialect=dialect),
        states=made.words,
        notes=found.notes,
        origin=origin,
    )


def _found(
    source: Any, given: dict[str, Any], like: Schema
) -> tuple[FoundFunctions, Tensor | None, Schema]:
    """Functions, what they are told, and the columns of that."""
    known = like.functions
    suffix = source.name.lower().removeprefix(formats.stem(source).lower()) if isinstance(
        source, Path
    ) else ""  # fmt: skip
    if suffix in (".npy", ".npz") or (
        not isinstance(source, Path | dict) and not hasattr(source, "columns")
    ):
        for name in ("id", "coordinates", "label", "given", *_OF_TABLES):
            if name in given and name != "missing":
                raise InputError(f"{name}= is for functions in tables, and {source} is an array")
        return _of_array(_array(source, suffix, given), given, known), None, Schema()
    written = _written(given)
    table = table_of(source, given.get("columns"), given.get("key"), **written)
    key = given.get("id") or (None if known is None else known.id)
    where = names_of(given.get("coordinates")) or (
        list(known.coordinates) if known is not None and known.form == "long" else []
    )
    if key is None and where:
        raise InputError("coordinates= are the columns of a table with id=, which is not said")
    label, columns = given.get("label"), names_of(given.get("given"))
    if known is not None:
        label = like.label if like.label in table.cells else None
        columns = [column.name for column in like.given]
    table, c, told = told_columns(table, label, columns, key, like)
    notes = table.notes
    if known is not None and known.form == "long" and key == known.id:
        table, more = known_columns(table, known)
        notes = (*notes, *more)
    found = (
        wide_table(table, partial=known is not None)
        if key is None
        else long_table(table, key, where)
    )
    return found._replace(notes=(*notes, *found.notes)), c, told


def _array(source: Any, suffix: str, given: dict[str, Any]) -> Any:
    if suffix == ".npy":
        return read_npy(source, None).x
    if suffix == ".npz":
        return read_npz(source, Chosen(given.get("key"), False, (), None)).x
    return numeric(source, "the array")


def _of_array(array: Any, given: dict[str, Any], known: FunctionFormat | None) -> FoundFunctions:
    """An array `(N, *sizes)`, or `(N, C, *sizes)` with `channels=`."""
    count = given.get("channels") or (
        len(known.values) if known is not None and known.channels else None
    )
    x = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float64))
    if count is None:
        x = x.unsqueeze(1)
    if not 3 <= x.ndim <= 5 or min(x.shape[2:], default=0) < 2:
        raise InputError(
            f"an array of functions has shape (N, *sizes) with one to three axes of two points at "
            f"least, or (N, C, *sizes) with channels=C, not {tuple(array.shape)}"
        )
    if count is not None and x.shape[1] != count:
        raise InputError(
            f"channels={count} does not fit an array of shape {tuple(array.shape)}, which has "
            f"{x.shape[1]} on its second axis"
        )
    codes = given.get("missing")
    allowed = [] if codes is None else [codes] if isinstance(codes, str | int | float) else codes
    bad = ~x.isfinite()
    if "nan" not in {str(code).lower() for code in allowed} and bool(bad.any()):
        where = tuple(int(k) for k in bad.nonzero()[0])
        raise InputError(
            f"the value at {where} of the array is {float(x[where])}: if NaN stands for a missing "
            "value, say missing=nan"
        )
    for code in allowed:
        if str(code).lower() != "nan":
            x = torch.where(x == float(code), torch.nan, x)
    made = FunctionFormat(
        "array",
        axes=tuple(PackedArray.of(np.arange(size)) for size in x.shape[2:]),
        values=tuple("" for _ in range(x.shape[1])),
        masked=bool(x.isnan().any()),
        channels=count is not None,
    )
    return FoundFunctions(x, made)


def _of_store(data: Data, options: dict[str, Any]) -> Data:
    """Fields of a store as functions along their dimensions."""
    fields = data.schema.fields
    assert fields is not None
    if fields.mask is not None:
        raise InputError(
            f"{data.source}: some cells have no values in any row. Functions are known on whole "
            "grids; without kind=functions these are fields, with such cells left out"
        )
    axes = []
    for name, size in zip(fields.dims, fields.sizes, strict=True):
        place = fields.coordinate(name)
        values = np.arange(size) if place is None else place.values.array()
        if place is not None and (place.dims != (name,) or values.dtype.kind not in "iuf"):
            values = np.arange(size)
        axes.append(PackedArray.of(values))
    made = FunctionFormat(
        "store",
        fields.dims,
        tuple(axes),
        values=fields.channel_names,
        periodic=tuple(k for k, name in enumerate(fields.dims) if name in fields.periodic),
    )
    origin = None if data.origin is None else {**data.origin, "kind": FUNCTIONS}
    return dataclasses.replace(
        data,
        kind="vector",
        schema=dataclasses.replace(data.schema, functions=made),
        states=made.words,
        origin=origin,
    )


def _periodic(said: Any, made: FunctionFormat) -> tuple[int, ...]:
    """The numbers of the axes that are said to be periodic: names of coordinates, or numbers."""
    found = []
    for name in names_of(said):
        text = str(name)
        if text in made.coordinates and text:
            found.append(made.coordinates.index(text))
        elif text.isdecimal() and int(text) < made.dimension:
            found.append(int(text))
        else:
            raise InputError(
                f"periodic={name!r}: functions have the axes "
                f"{', '.join(filter(None, made.coordinates)) or f'0 to {made.dimension - 1}'}"
            )
    return tuple(found)


def _written(given: dict[str, Any]) -> dict[str, Any]:
    """How a table is written: its first line holds coordinates, or names, unless said otherwise."""
    return {"header": True} | {name: given[name] for name in _OF_TABLES[1:] if name in given}
