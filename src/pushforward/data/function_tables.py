"""Functions in tables: wide, with a column for each point, and long, with a row for each value."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.data.columns import closest, listed
from pushforward.data.function_format import FunctionFormat
from pushforward.data.identifiers import NAMELESS
from pushforward.data.mixed_tables import TextTable
from pushforward.data.packed import PackedArray
from pushforward.errors import InputError

__all__ = ["FoundFunctions", "known_columns", "long_table", "on_known", "wide_table"]

_MOST_POINTS = 4096
"""Points that functions of a long table have between them."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")


class FoundFunctions(NamedTuple):
    """Functions `(N, C, *sizes)`, NaN where they have no value, and where they lay."""

    x: Tensor
    format: FunctionFormat
    notes: tuple[str, ...] = ()


def wide_table(table: TextTable, *, partial: bool = False) -> FoundFunctions:
    """A row for each function; the names of the columns are coordinates, such as `0.5` or `t0.5`.

    Raises `InputError` for names that are no coordinates, or do not grow, for cells that are no
    numbers, and, unless these are `partial` ones of known points, points without a value.

    >>> from pushforward.data.cells import Cells
    >>> cells = {"day1": ["3.5", "4"], "day2": ["", "5"]}
    >>> found = wide_table(TextTable(cells, "days.csv", Cells()))
    >>> found.x[0].tolist(), found.format.axes[0].array()
    ([[3.5, nan]], array([1., 2.]))
    """
    names = list(table.cells)
    notes: tuple[str, ...] = ()
    if NAMELESS.fullmatch(names[0].strip()) and len(names) > 2:
        names, notes = names[1:], ("the first column, which has no name, names the rows: left out",)
    start = _shared_start(names)
    places = []
    for name in names:
        text = name.removeprefix(start).strip()
        if not _NUMBER.match(text):
            raise InputError(
                f"{table.source}: the column {name!r} is no coordinate. In a table of functions "
                "there is a row for each function and the names of the columns are coordinates; "
                "leave others out with columns=, name one as label= or some as given=, or say id= "
                "for a table with a row for each value"
            )
        places.append(float(text))
    if len(names) < 2:
        raise InputError(f"{table.source} has one column: functions have two points at least")
    if any(b <= a for a, b in itertools.pairwise(places)):
        k = next(k for k, (a, b) in enumerate(itertools.pairwise(places)) if b <= a)
        raise InputError(
            f"{table.source}: coordinates grow from column to column, but {names[k + 1]!r} comes "
            f"after {names[k]!r}"
        )
    values = np.stack([_numbers(table, name) for name in names], 1)
    empty = np.isnan(values).all(0)
    if empty.any() and not partial:
        raise InputError(
            f"{table.source}: no function has a value in the column "
            f"{names[int(empty.argmax())]!r}: leave it out with columns="
        )
    _check_rows(np.asarray(np.isnan(values).all(1)), lambda k: f"row {k + 1}", table.source)
    made = FunctionFormat(
        "wide", ("",), (PackedArray.of(np.array(places)),), columns=tuple(names),
        masked=bool(np.isnan(values).any()),
    )  # fmt: skip
    return FoundFunctions(torch.from_numpy(values).unsqueeze(1), made, notes)


def long_table(table: TextTable, key: str, coordinates: Sequence[str]) -> FoundFunctions:
    """A row for each value: which function it is of, where it is, and the channels.

    The points of all functions together are the points of the states: a grid, or scattered ones.
    What a function has no value for is missing. By default the one column after that of the names
    is the coordinate.

    Raises `InputError` for columns that are not there, cells that are no numbers, and two values
    of a function at one place.

    >>> from pushforward.data.cells import Cells
    >>> cells = {"id": ["a", "a", "b"], "t": ["0", "1", "1"], "y": ["5", "6", "7"]}
    >>> long_table(TextTable(cells, "long.csv", Cells()), "id", ()).x
    tensor([[[5., 6.]],
    <BLANKLINE>
            [[nan, 7.]]], dtype=torch.float64)
    """
    names = list(table.cells)
    wanted = [key, *coordinates]
    for name in wanted:
        if name not in names:
            raise InputError(
                f"{table.source} has no column {name!r}{closest(name, names)}, but {listed(names)}"
            )
    others = [name for name in names if name != key]
    where = list(coordinates) or others[:1]
    values = [name for name in others if name not in where]
    if not values or not 1 <= len(where) <= 3:
        raise InputError(
            f"{table.source}: beside {key!r} there are one to three coordinates and a value at "
            f"least, not {listed(others)}: say coordinates="
        )
    keys, function = np.unique(np.array(table.cells[key]), return_inverse=True)
    first = np.array([int((function == k).argmax()) for k in range(len(keys))])
    rank = np.empty(len(keys), int)
    rank[first.argsort()] = np.arange(len(keys))
    function = rank[function]
    if any(table.notation.is_missing(cell) for cell in set(table.cells[key])):
        raise InputError(f"{table.source}: a row does not say in {key!r} which function it is of")
    place = np.stack([_numbers(table, name, coordinate=True) for name in where], 1)
    gap = np.isnan(place).any(1)
    if gap.any():
        raise InputError(f"{table.source}: row {int(gap.argmax()) + 1} has no {listed(where)}")
    channels = np.stack([_numbers(table, name) for name in values], 1)
    axes = [np.unique(place[:, k], return_inverse=True) for k in range(len(where))]
    points, at = np.unique(place, axis=0, return_inverse=True)
    sizes = tuple(len(axis) for axis, _ in axes)
    if len(points) > _MOST_POINTS:
        raise InputError(
            f"{table.source}: the functions are known at {len(points):,} different points, more "
            f"than {_MOST_POINTS:,}: round the coordinates to those of a common grid"
        )
    on_grid = len(points) == math.prod(sizes)
    if on_grid:
        at = np.ravel_multi_index([inverse.reshape(-1) for _, inverse in axes], sizes)
        packed = tuple(PackedArray.of(_whole(axis)) for axis, _ in axes)
    else:
        sizes, packed = (len(points),), (PackedArray.of(points),)
    cells = function * math.prod(sizes) + at.reshape(-1)
    twice = np.bincount(cells, minlength=1)
    if (twice > 1).any():
        k = int((cells == int(twice.argmax())).nonzero()[0][1])
        spot = ", ".join(f"{name}={value:g}" for name, value in zip(where, place[k], strict=True))
        raise InputError(
            f"{table.source}: row {k + 1} is a second value of {key} {table.cells[key][k]} at "
            f"{spot}"
        )
    x = np.full((len(keys), len(values), math.prod(sizes)), np.nan)
    x[function, :, at.reshape(-1)] = channels
    order = first.argsort()
    _check_rows(np.isnan(x).all((1, 2)), lambda k: f"{key} {keys[order[k]]}", table.source)
    made = FunctionFormat(
        "long", tuple(where), packed, not on_grid, tuple(values), tuple(names), key,
        masked=bool(np.isnan(x).any()), ids=tuple(map(str, keys[order])),
    )  # fmt: skip
    return FoundFunctions(torch.from_numpy(x.reshape(len(keys), len(values), *sizes)), made)


def on_known(found: FoundFunctions, known: FunctionFormat) -> FoundFunctions:
    """Functions at some of the points of others, with the rest missing; as they are if they are at
    other points.

    Few points may make a grid where all make none, and the other way round.
    """
    made = found.format
    if made.dimension != known.dimension:
        return found
    new, spots = _places(made), []
    for own, columns in (
        [(_places(known), slice(None))]
        if known.scattered
        else [(axis.array().astype(np.float64)[:, None], [k]) for k, axis in enumerate(known.axes)]
    ):
        nearest = np.abs(own[None] - new[:, None, columns]).max(2).argmin(1)
        step = 1e-3 * np.ptp(own, axis=0) / max(len(own) - 1, 1)
        if bool((np.abs(own[nearest] - new[:, columns]) > step).any()):
            return found
        spots.append(nearest)
    at = torch.from_numpy(np.ravel_multi_index(spots, known.sizes))
    n, channels = found.x.shape[:2]
    x = found.x.new_full((n, channels, math.prod(known.sizes)), torch.nan)
    x[:, :, at] = found.x.reshape(n, channels, -1)
    x = x.reshape(n, channels, *known.sizes)
    there = replace(made, axes=known.axes, scattered=known.scattered)
    return FoundFunctions(x, there.with_gaps(bool(x.isnan().any())), found.notes)


def _places(made: FunctionFormat) -> NDArray[np.float64]:
    """The coordinates `(M, d)` of all points."""
    axes = [axis.array().astype(np.float64) for axis in made.axes]
    if made.scattered:
        return axes[0]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes))


def known_columns(table: TextTable, known: FunctionFormat) -> tuple[TextTable, tuple[str, ...]]:
    """The columns of another long table that are known, in their order, and what was left out.

    Raises `InputError` for one that is not there.
    """
    names = list(table.cells)
    for name in known.columns:
        if name not in names:
            raise InputError(
                f"{table.source} has no column {name!r}{closest(name, names)}, which the model "
                f"knows: it has {listed(names)}. Cells of channels may be empty"
            )
    extra = [name for name in names if name not in known.columns]
    notes = (f"{table.source}: the model knows no {listed(extra)}: left out",) if extra else ()
    cells = {name: table.cells[name] for name in known.columns}
    return replace(table, cells=cells), notes


def _numbers(table: TextTable, name: str, *, coordinate: bool = False) -> NDArray[np.float64]:
    """The numbers of a column, NaN where a cell is missing.

    A number that is none, such as the `nan` of a computation, is no missing value unless it is
    said to be one.
    """
    known, found = table.notation, np.full(len(table.cells[name]), np.nan)
    said = [known.missing] if isinstance(known.missing, str | int | float) else known.missing
    allowed = {str(code).strip().lower() for code in said}
    for k, cell in enumerate(table.cells[name]):
        text = cell.lower()
        if text in known.texts or text in allowed:
            continue
        try:
            value = known.number(cell)
        except ValueError:
            value = math.inf
        if math.isnan(value) and text.lstrip("+-") != "nan":
            continue  # a number that stands for a missing one
        if coordinate and not math.isfinite(value):
            raise InputError(
                f"{table.source}, column {name!r}, row {k + 1}: {cell!r} is no number, and "
                f"{name!r} is a coordinate. Write dates as numbers, such as days since the first, "
                "or name other columns in coordinates="
            )
        if not math.isfinite(value):
            raise InputError(
                f"{table.source}, column {name!r}, row {k + 1}: {cell!r} is no finite number. An "
                f"empty cell is a missing value; if {cell!r} means one, say missing={cell!r}"
            )
        found[k] = value
    return found


def _check_rows(empty: NDArray[np.bool_], called: Any, source: str) -> None:
    if empty.any():
        raise InputError(f"{source}: {called(int(empty.argmax()))} has no value at all")


def _whole(axis: NDArray[np.float64]) -> NDArray[Any]:
    """Coordinates as integers where they are."""
    plain: NDArray[Any] = axis.astype(np.int64) if (axis == np.round(axis)).all() else axis
    return plain


def _shared_start(names: Sequence[str]) -> str:
    """What the names begin with before their numbers, such as the `X` that R puts there."""
    found = re.match(r"[^\d+\-.]*", names[0])
    start = found.group() if found else ""
    return start if all(name.startswith(start) for name in names) else ""
