"""Columns of a table as contexts: what a model of p(other columns | these) is told.

The columns that are given leave the states and become the contexts `c`, by name; one of words
becomes a column of 0 and 1 for each of its words, so that no word is nearer to one than to another.
`joint` puts them back where they were: what goes into a model comes out of it in the same table.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from pushforward._precision import narrowed
from pushforward.data.columns import closest, listed
from pushforward.data.coordinate_columns import (
    as_table,
    coordinates_in,
    in_columns,
    located_in,
    table_schema,
)
from pushforward.data.dataset import Data
from pushforward.data.levels import from_one_hot, one_hot, one_hot_names
from pushforward.data.raw import counted, in_space
from pushforward.data.schema import Schema
from pushforward.errors import InputError

__all__ = ["condition_on", "joint", "joint_table", "reading_given"]

F = TypeVar("F", bound=Callable[..., Data])


def condition_on(data: Data, names: str | Sequence[str], *, double: bool = False) -> Data:
    """A table whose columns of some names are the contexts of its rows.

    >>> table = Data(torch.tensor([[1.0, 2.0, 3.0]]), schema=Schema.of("a", "x", "b"))
    >>> pairs = condition_on(table, ["a", "b"])
    >>> pairs.columns, pairs.x.tolist(), pairs.c.tolist()
    (('x',), [[2.0]], [[1.0, 3.0]])
    >>> joint(pairs).columns
    ('a', 'x', 'b')

    Raises `InputError` for columns that are not there or named twice, for data that are no table
    or have labels, and if no column is left to learn.
    """
    where = data.name if data.source == "memory" else data.source
    wanted = _named(names)
    if not data.columns or not isinstance(data.x, Tensor) or data.x.ndim != 2:
        raise InputError(
            f"{where} has no columns with names, of which some could be given: give a table with a "
            "header, or contexts in Python, pf.data.Data(x, c=contexts)"
        )
    if data.c is not None:
        raise InputError(
            f"{where} has labels or contexts already: leave label= out, and name the column of the "
            "labels in given= too"
        )
    for name in wanted:
        if data.columns.count(name) != 1:
            found = "several columns" if name in data.columns else "no column"
            raise InputError(
                f"given={','.join(wanted)!r}: {where} has {found} {name!r}"
                f"{closest(name, data.columns)}; it has {listed(data.columns)}"
            )
    if len(set(wanted)) < len(wanted):
        raise InputError(f"given={','.join(wanted)!r} names a column twice")
    at = tuple(data.columns.index(name) for name in wanted)
    rest = [k for k in range(len(data.columns)) if k not in at]
    if not rest:
        raise InputError(
            f"given={','.join(wanted)!r} is every column of {where}: none is left to learn"
        )
    columns = data.schema.columns
    schema = dataclasses.replace(
        data.schema,
        columns=tuple(columns[k] for k in rest),
        given=tuple(columns[k] for k in at),
        given_at=at,
    )
    x, c = data.x[:, rest], one_hot(data.x[:, list(at)], schema.given)
    x, c = (part if double else narrowed(part) for part in (x, c))
    return dataclasses.replace(data, x=x, c=c, schema=schema)


def joint(data: Data) -> Data:
    """The table again, of columns that are learned and columns that are given; other data as they
    are."""
    if not data.schema.given:
        return data
    x, schema = joint_table(data.x, data.c, data.schema)
    origin = None if data.origin is None else {**data.origin}
    if origin is not None:
        origin.pop("given", None)
    return dataclasses.replace(data, x=x, c=None, schema=schema, origin=origin)


def joint_table(x: Tensor, c: Tensor, schema: Schema) -> tuple[Tensor, Schema]:
    """States `(N, d)` and their contexts as one table in the order of the file, with its schema.

    Without names, contexts come last.
    """
    x, _, schema = in_columns(x, None, schema)
    c = from_one_hot(c, schema.given) if schema.given else c
    at = schema.given_at or tuple(range(x.shape[1], x.shape[1] + c.shape[1]))
    total = x.shape[1] + c.shape[1]
    rest = [k for k in range(total) if k not in at]
    order = torch.tensor([*rest, *at]).argsort()
    table = torch.cat([x.to(torch.promote_types(x.dtype, c.dtype)), c], 1)[:, order]
    both = (*schema.columns, *schema.given)
    columns = tuple(both[k] for k in order.tolist()) if len(both) == total else ()
    return table, dataclasses.replace(schema, columns=columns, given=(), given_at=())


def reading_given(load: F) -> F:
    """A reader of data that also takes `given=`, and data `like` others with given columns, or with
    columns that are coordinates.

    The table is read as a whole, by name and as precisely as it takes, and divided afterwards.
    """

    @wraps(load)
    def reading(
        source: Any, *, given: Any = None, like: Any = None, space: Any = None, **options: Any
    ) -> Data:
        known = like.schema if isinstance(like, Data) else like
        names = () if known is None else tuple(column.name for column in known.given)
        if given is not None and names and _named(given) != names:
            raise InputError(f"given={given!r}, but the model was given {listed(names)}")
        if given is not None:
            names = _named(given)
        located = None if known is None else known.coordinates
        if not names and located is None:
            # Columns of words in a whole table are those that were given.
            words = [] if known is None else [c.name for c in known.columns if c.categorical]
            return load(source, like=like, space=space, given=words or None, **options)
        if isinstance(source, Data):
            source = as_table(joint(source))
        asked_for = {key: options.pop(key, None) for key in ("coordinates", "project")}
        placing: dict[str, Any] = {key: value for key, value in asked_for.items() if value}
        whole, double = None if known is None else _whole(known), bool(options.get("double"))
        # Degrees in single precision would lose digits that unit vectors have.
        wide = (
            {"double": True}
            if located or placing or (space is not None and space.names_coordinates)
            else {}
        )
        table = load(source, like=whole, given=names or None, **{**options, **wide})
        if names:
            table = condition_on(table, names, double=double or bool(wide))
        if table.origin is not None:
            own = {"given": list(names)} if names else {}
            origin = {k: v for k, v in table.origin.items() if double or k != "double"}
            table = dataclasses.replace(table, origin={**origin, **placing, **own})
        if wide and not double and names:
            table = dataclasses.replace(table, c=narrowed(table.c))
        asked = located or placing.get("coordinates")
        found = coordinates_in(
            table.source, space, table.schema.columns, table.x, asked,
            project=bool(placing.get("project")),
        )  # fmt: skip
        if found is not None:
            return located_in(table, space, found, _rows(table), double=double)
        if wide and not double:
            table = dataclasses.replace(table, x=narrowed(table.x))
        return table if space is None else in_space(table, space, double=double)

    return cast(F, reading)


def _rows(data: Data) -> Callable[[int], str]:
    """How the rows of data are named, by their numbers in the source."""
    return lambda i: counted(i if data.rows is None else int(data.rows[i]))


def _whole(schema: Schema) -> Schema:
    """A schema with its given columns among the others, and coordinates as they are in the file."""
    schema = table_schema(schema)
    if not schema.given:
        return schema
    one = torch.zeros(1, len(schema.columns)), torch.zeros(1, len(one_hot_names(schema.given)))
    return joint_table(*one, schema)[1]


def _named(names: Any) -> tuple[str, ...]:
    """Names of columns from one, several, or several with commas between them."""
    found = names.split(",") if isinstance(names, str) else names
    if not isinstance(found, (list, tuple)) or not found:
        raise InputError(f"given= names columns, such as given=['a', 'b'], not {names!r}")
    return tuple(str(name).strip() for name in found)
