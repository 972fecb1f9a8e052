"""Which variables of a store are learned, which dimensions are rows, and which a field has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pushforward.data.columns import closest, listed
from pushforward.data.field_format import FieldCoordinate, FieldFormat, FieldVariable
from pushforward.data.packed import PackedArray
from pushforward.data.stores import plain_attributes
from pushforward.errors import InputError

__all__ = ["Asked", "chosen_format"]

_ROWS = (
    "time", "sample", "member", "realization", "number", "ensemble", "valid_time", "t", "date",
    "row",
)  # fmt: skip
"""Dimensions that are rows, the first of which is there."""

_LATITUDES = ("degrees_north", "degree_north", "degrees_N", "degreeN")
_LONGITUDES = ("degrees_east", "degree_east", "degrees_E", "degreeE")
_CLOSE = 1e-3


@dataclass(frozen=True)
class Asked:
    """What the options of `load` say of fields; `None` where they say nothing.

    Args:
        variables: their names.
        rows: the dimensions whose entries are rows.
        periodic: the dimensions of a field whose ends meet.
        weights: `"latitude"` or `"none"`.
        means: `"apart"` for a scale of their own.
    """

    variables: tuple[str, ...] | None = None
    rows: tuple[str, ...] | None = None
    periodic: tuple[str, ...] | None = None
    weights: str | None = None
    means: str | None = None


def chosen_format(store: Any, where: str, asked: Asked) -> tuple[FieldFormat, list[str]]:
    """What is learned of a store, and what to know of the choice, a sentence each.

    Without names these are the variables of numbers that lie on the rows and on as many dimensions
    beside these as most do, in the order of the alphabet. The last two dimensions are those of a
    field, the last one if there is no other; further ones are levels, which become channels.

    Raises `InputError` for names that are not there, variables on other dimensions, dimensions that
    cannot be told apart, and units of the grid that do not fit.
    """
    # A Zarr store lists its variables in any order, another one each time.
    there = sorted(store.data_vars.items(), key=lambda item: str(item[0]))
    numeric = {n: v for n, v in there if v.dtype.kind in "biuf" and v.ndim > 1}
    if not numeric:
        raise InputError(f"{where} has no variable of numbers on two or more dimensions")
    names = _named(asked.variables, numeric, store, where)
    rows = _rows(asked.rows, [numeric[name] for name in names or numeric], where)
    on_rows = [name for name in names or numeric if set(rows) <= set(numeric[name].dims)]
    if names is not None and len(on_rows) < len(names):
        odd = next(name for name in names if name not in on_rows)
        raise InputError(
            f"{where}: variable {odd!r} lies on {listed(numeric[odd].dims)}, and not on "
            f"{listed(rows)}, whose entries are rows: leave it out of variables=, or say rows="
        )
    spaces = {name: _space_of(numeric[name].dims, rows) for name in on_rows}
    usable = {name: dims for name, dims in spaces.items() if dims}
    if not usable:
        raise InputError(
            f"{where} has no variable on {listed(rows)} and further dimensions, which make a field"
        )
    dims = max(usable.values(), key=lambda d: (len(d), list(usable.values()).count(d)))
    kept = [name for name in on_rows if set(spaces[name]) == set(dims)]
    if names is not None and len(kept) < len(names):
        odd = next(name for name in names if name not in kept)
        raise InputError(
            f"{where}: variable {odd!r} lies on {listed(spaces[odd] or rows)} beside the rows, "
            f"and {kept[0]!r} on {listed(dims)}: learn variables of one grid together"
        )
    notes = []
    left = [name for name, _ in there if name not in kept] if names is None else []
    if left:
        notes.append(
            f"{where}: left out {listed(left)}, which lie on other dimensions than {listed(kept)} "
            "or are no numbers"
        )
    found = FieldFormat(
        tuple(_variable(numeric[name], name, rows, dims) for name in kept),
        rows,
        dims,
        tuple(int(store.sizes[name]) for name in dims),
        _coordinates(store, rows, {d for name in kept for d in numeric[name].dims}),
        plain_attributes(store.attrs),
    )
    for name in dict.fromkeys(level for v in found.variables for level, _ in v.levels):
        if name in _ROWS:
            notes.append(
                f"{where}: the entries of {name} become channels, learned together; "
                f"rows={','.join((*rows, name))} makes each of them a row"
            )
    return _on_the_globe(found, asked, where, notes), notes


def _named(
    wanted: Sequence[str] | None, numeric: dict[str, Any], store: Any, where: str
) -> list[str] | None:
    if wanted is None:
        return None
    for name in wanted:
        if name not in numeric:
            what = "holds no numbers on two or more dimensions" if name in store else "is not there"
            raise InputError(
                f"{where}: variable {name!r} {what}{closest(name, list(numeric))}; there are "
                f"{listed(list(numeric))}"
            )
    if len(set(wanted)) < len(wanted) or not wanted:
        raise InputError(f"variables={list(wanted)!r} names none, or one twice")
    return list(wanted)


def _rows(wanted: Sequence[str] | None, variables: list[Any], where: str) -> tuple[str, ...]:
    there = list(dict.fromkeys(str(name) for one in variables for name in one.dims))
    if wanted is not None:
        for name in wanted:
            if name not in there:
                raise InputError(
                    f"rows={','.join(wanted)!r}: {where} has no dimension {name!r}"
                    f"{closest(name, there)}; there are {listed(there)}"
                )
        return tuple(wanted)
    for name in _ROWS:
        if name in there:
            return (name,)
    for one in variables:
        for name in one.dims:
            if name in one.coords and one.coords[name].dtype.kind == "M":
                return (str(name),)
    raise InputError(
        f"{where}: none of the dimensions {listed(there)} is a time or a sample: say which one's "
        f"entries are the rows, rows={there[0]}"
    )


def _space_of(dims: Sequence[Any], rows: Sequence[str]) -> tuple[str, ...]:
    """The dimensions of a field, of those of a variable."""
    rest = [str(name) for name in dims if name not in rows]
    return tuple(rest[-2:])


def _variable(array: Any, name: str, rows: Sequence[str], dims: Sequence[str]) -> FieldVariable:
    levels = [str(d) for d in array.dims if d not in rows and d not in dims]
    kind = array.dtype
    sizes = dict(zip(array.dims, array.encoding.get("chunks") or (), strict=False))
    sizes |= array.encoding.get("preferred_chunks") or {}
    axes = (*rows[:1], *levels, *dims)
    return FieldVariable(
        name,
        "float32" if kind.kind == "f" and kind.itemsize < 4 else kind.name,
        tuple((level, int(array.sizes[level])) for level in levels),
        plain_attributes(array.attrs),
        tuple(int(sizes[axis]) for axis in axes) if set(axes) <= set(sizes) else None,
    )


def _coordinates(store: Any, rows: Sequence[str], dims: set[Any]) -> tuple[FieldCoordinate, ...]:
    found = []
    for name, one in sorted(store.coords.items(), key=lambda item: str(item[0])):
        on_grid = set(one.dims) <= dims and not set(one.dims) & set(rows)
        # Days of other calendars are objects that no array of numbers holds.
        plain = one.dtype.kind in "biufMU" or (one.dtype.kind in "OT" and _are_words(one))
        if on_grid and plain:
            values = PackedArray.of(one.values)
            place = tuple(str(d) for d in one.dims)
            found.append(FieldCoordinate(str(name), place, values, plain_attributes(one.attrs)))
    return tuple(found)


def _are_words(coordinate: Any) -> bool:
    return all(isinstance(value, str) for value in np.ravel(coordinate.values))


def _on_the_globe(found: FieldFormat, asked: Asked, where: str, notes: list[str]) -> FieldFormat:
    """With the periods and the weights that are asked for, or that the coordinates say."""
    periodic = asked.periodic
    if periodic is None:
        periodic = tuple(name for name in found.dims if _is_period(found, name))
    odd = [name for name in periodic if name not in found.dims]
    if odd:
        raise InputError(
            f"periodic={','.join(periodic)!r}: fields of {where} have the dimensions "
            f"{listed(found.dims)}, and no {odd[0]!r}"
        )
    if asked.weights not in (None, "latitude", "none"):
        raise InputError(f"weights is 'latitude' or 'none', not {asked.weights!r}")
    latitude = next((name for name in found.dims if _is_latitude(found, name)), None)
    if asked.weights == "latitude" and latitude is None:
        raise InputError(
            f"weights='latitude': {where} has no dimension of latitudes in degrees north among "
            f"{listed(found.dims)}"
        )
    if asked.weights == "none":
        latitude = None
    if latitude is not None:
        notes.append(
            f"{where}: cells weigh as their area by {latitude} in losses; weights='none' counts "
            "them alike"
        )
    if periodic:
        notes.append(f"{where}: the ends of {listed(periodic)} meet")
    if asked.means not in (None, "apart"):
        raise InputError(f"means is 'apart', or nothing, not {asked.means!r}")
    return replace(found, periodic=tuple(periodic), latitude=latitude, means=asked.means)


def _is_period(found: FieldFormat, name: str) -> bool:
    """Whether a coordinate says that its ends meet: by an attribute, or as degrees all around."""
    place = found.coordinate(name)
    if place is None or place.dims != (name,):
        return False
    attributes = place.attributes or {}
    if "periodic" in attributes:
        said = attributes["periodic"]
        return said.strip().lower() in ("1", "true", "yes") if isinstance(said, str) else bool(said)
    if attributes.get("units") not in _LONGITUDES and name not in ("lon", "longitude"):
        return False
    values = place.values.array()
    if values.dtype.kind not in "iuf" or len(values) < 3:
        return False
    steps = np.diff(values.astype(np.float64))
    even = np.ptp(steps) <= _CLOSE * abs(steps.mean())
    return bool(even and abs(abs(steps.mean()) * len(values) - 360) <= _CLOSE * 360)


def _is_latitude(found: FieldFormat, name: str) -> bool:
    place = found.coordinate(name)
    if place is None or place.dims != (name,) or place.values.array().dtype.kind not in "iuf":
        return False
    units = (place.attributes or {}).get("units")
    return units in _LATITUDES or (units is None and name in ("lat", "latitude"))
