"""Between tables whose columns are coordinates and data that are states of a manifold."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward import state
from pushforward.data.column import Column
from pushforward.data.dataset import Data
from pushforward.data.located import Located
from pushforward.data.schema import Schema
from pushforward.errors import InputError

__all__ = ["as_table", "coordinates_in", "in_columns", "located_in", "table_schema"]


def coordinates_for(
    space: Any, columns: Sequence[Column], size: int, asked: Any = None, *, project: bool = False
) -> Located | None:
    """The coordinates in a table of `size` columns: those asked for, or those that names say.

    Args:
        space: what the states are of.
        columns: of the table; empty if they have no names.
        asked: a text, as for `coordinates.parse`, coordinates that were located before, or nothing.
        project: take the nearest point for what is off the manifold.

    `None` where nothing is asked for and no names say any: then the table is of states.
    Raises `InputError` for coordinates that the space does not have.
    """
    if isinstance(asked, Located):
        return dataclasses.replace(asked, project=asked.project or project)
    named = list(columns) or [Column(str(k)) for k in range(size)]
    names = [column.name for column in columns]
    if space is None:
        if asked is None and not project:
            return None
        raise InputError(
            "coordinates= and project= are of states of a space: say which, such as "
            "spaces.Sphere() (--space sphere)"
        )
    found = space.coordinates_named(names) if asked is None else space.coordinates_asked(str(asked))
    if found is None and project:
        kinds = ", ".join(repr(one.short) for one in space.coordinates)
        raise InputError(
            f"project=True does not say what the columns are: give coordinates=, one of {kinds}"
        )
    if found is None:
        return None
    return Located.among(found, named, project=project)


def coordinates_in(
    source: str,
    space: Any,
    columns: Sequence[Column],
    table: Tensor,
    asked: Any = None,
    *,
    project: bool = False,
) -> Located | None:
    """As `coordinates_for`, or as the numbers of named columns say; with the file in errors."""
    try:
        if asked is None and space is not None and len(columns):
            asked = space.coordinates_seen(table)
        return coordinates_for(space, columns, table.shape[1], asked, project=project)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None


def located_in(
    data: Data,
    space: Any,
    located: Located,
    row: Callable[[int], str],
    *,
    double: bool = False,
) -> Data:
    """A table whose columns are coordinates, as states of a space.

    Raises `InputError` for what is out of range, or off the manifold, with the file and the row.
    """
    try:
        x = space.from_arrays(located.states(data.x, row))
        space.check(x)
    except InputError as error:
        where = data.name if data.source == "memory" else data.source
        raise InputError(f"{where}, {error}") from None
    if not double:
        x = space.units(state.event_shape(x)).narrowed(x)
    words, located = space.describe_states(state.event_shape(x)), located.fitted(data.x)
    schema = dataclasses.replace(data.schema, columns=(), entries=None, coordinates=located)
    return dataclasses.replace(
        data,
        x=x,
        kind="vector" if isinstance(x, Tensor) else "state",
        levels=None,
        value_range=None,
        schema=schema,
        states=f"{words} from {located.words}",
    )


class PlainRows:
    """The space of the rows of a table, for whoever writes them: the numbers as they are."""

    def to_table(self, x: Tensor) -> tuple[Tensor, tuple[str, ...]]:
        """The rows; their names are those of the schema."""
        return x, tuple(map(str, range(x.shape[1])))

    def from_arrays(self, arrays: Tensor) -> Tensor:
        """The rows."""
        return arrays


def in_columns(x: Any, space: Any, schema: Schema) -> tuple[Any, Any, Schema]:
    """States as a table of the columns that a schema says, if they come from coordinates: the
    table, the space that its rows are of, and its schema; otherwise all as they are."""
    located = schema.coordinates
    if located is None:
        return x, space, schema
    wide = any(leaf.dtype == torch.float64 for leaf in state.leaves(x))
    x = state.map_leaves(lambda leaf: leaf.detach().cpu(), x)
    table = located.table(x)
    # Digits that are written are rounded from double precision; others would have no meaning.
    wide = wide or all(column.decimals is not None for column in located.columns)
    return table if wide else table.float(), PlainRows(), table_schema(schema)


def table_schema(schema: Schema) -> Schema:
    """The schema of the table that states with coordinates came from; any other as it is."""
    if schema.coordinates is None:
        return schema
    return dataclasses.replace(schema, columns=schema.coordinates.columns, coordinates=None)


def as_table(data: Data) -> Data:
    """Data whose states come from coordinates, as the table that they were; others as they are.

    >>> import pushforward as pf
    >>> table = {"lat": [12.5, -80.0], "lon": [10.0, 200.0]}
    >>> places = pf.data.load(table, space=pf.spaces.Sphere())
    >>> places.x.shape, as_table(places).columns, as_table(places).x.tolist()
    (torch.Size([2, 3]), ('lat', 'lon'), [[12.5, 10.0], [-80.0, 200.0]])
    """
    if data.schema.coordinates is None:
        return data
    table, _, schema = in_columns(data.x, None, data.schema)
    assert isinstance(table, Tensor)
    digits = [column.decimals for column in schema.columns]
    if None not in digits:
        rounded = [v.round(decimals=d or 0) for v, d in zip(table.mT, digits, strict=True)]
        table = torch.stack(rounded, 1)
    return dataclasses.replace(data, x=table, schema=schema, kind="vector", states=None)
