"""Functions at other points than those of their file, in the same form."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.data.columns import closest, listed
from pushforward.data.function_format import FunctionFormat
from pushforward.data.mixed_tables import table_of
from pushforward.data.packed import PackedArray
from pushforward.errors import InputError

__all__ = ["cells_of", "on_axes", "on_points", "points_in"]

_PREFIX = re.compile(r"[^\d+\-.]*")


def cells_of(text: str, known: FunctionFormat, domain: Any) -> list[NDArray[Any]]:
    """The centers of so many equal cells of each axis, `"128"` or `"64,32"`.

    One number is that of all axes. Raises `InputError` for other texts, and for scattered points.

    >>> made = FunctionFormat("wide", axes=(PackedArray.of(np.arange(2.0)),), columns=("0", "1"))
    >>> cells_of("4", made, [(-0.5, 1.5)])
    [array([-0.25,  0.25,  0.75,  1.25])]
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) > 1 for part in parts):
        raise InputError(
            f"--at {text}: give the number of points of each axis, such as 128 or 64,64, or a "
            "table of coordinates that is there"
        )
    if known.scattered:
        raise InputError(
            f"--at {text}: the points of the training make no grid: give a table with the columns "
            f"{listed(list(known.coordinates))}"
        )
    counts = [int(part) for part in parts] * (known.dimension if len(parts) == 1 else 1)
    if len(counts) != known.dimension:
        raise InputError(f"--at {text} is of {len(counts)} axes, and functions have "
                         f"{known.dimension}")  # fmt: skip
    return [
        low + (high - low) / n * (np.arange(n) + 0.5)
        for n, (low, high) in zip(counts, domain, strict=True)
    ]


def points_in(place: Path, known: FunctionFormat) -> NDArray[np.float64]:
    """The points `(M, d)` of a table of coordinates, in the order of its rows.

    Its columns have the names of the coordinates; without names the first ones are taken. Raises
    `InputError` for columns that are not there, cells that are no numbers, and points that come
    twice.
    """
    table = table_of(place, header=True)
    names = list(table.cells)
    wanted = [name for name in known.coordinates if name] or names[: known.dimension]
    for name in wanted:
        if name not in names:
            raise InputError(
                f"--at {place} has no column {name!r}{closest(name, names)}, but {listed(names)}"
            )
    found = np.empty((len(table.cells[wanted[0]]), len(wanted)))
    for k, name in enumerate(wanted):
        for row, cell in enumerate(table.cells[name]):
            try:
                found[row, k] = table.notation.number(cell)
            except ValueError:
                found[row, k] = math.nan
            if not math.isfinite(found[row, k]):
                raise InputError(f"--at {place}, row {row + 1}: {name} is {cell!r}, no coordinate")
    _, first, count = np.unique(found, axis=0, return_index=True, return_counts=True)
    if (count > 1).any():
        row = int(first[int((count > 1).argmax())])
        raise InputError(f"--at {place}: the point of row {row + 1} comes again")
    return found


def on_axes(known: FunctionFormat, axes: list[NDArray[Any]]) -> FunctionFormat:
    """Functions on another grid, as a file of the same form has them.

    Raises `InputError` for fields of a store, whose other variables are of their grid.
    """
    if known.form == "store":
        raise InputError("fields of a store are drawn on its own grid: leave --at out")
    packed = tuple(PackedArray.of(_whole(axis)) for axis in axes)
    columns = known.columns
    if known.form == "wide":
        found = _PREFIX.match(known.columns[0])
        start = found.group() if found else ""
        columns = tuple(f"{start}{value:.9g}" for value in axes[0])
        if len(set(columns)) < len(columns):
            columns = tuple(f"{start}{value!r}" for value in axes[0].tolist())
    return replace(known, axes=packed, columns=columns, scattered=False, masked=False)


def on_points(known: FunctionFormat, points: NDArray[np.float64]) -> FunctionFormat:
    """Functions at scattered points. Raises `InputError` unless they are of a long table."""
    if known.form != "long":
        raise InputError(
            "--at: points that make no grid are those of tables with a row for each value, and "
            "the data were none"
        )
    return replace(known, axes=(PackedArray.of(points),), scattered=True, masked=False)


def _whole(axis: NDArray[Any]) -> NDArray[Any]:
    """Coordinates as integers where they are."""
    return axis.astype(np.int64) if (axis == np.round(axis)).all() else axis
