"""Several files as one store: a series that goes on from file to file, or members of one time.

For patterns such as `era5/*.nc`, as `xarray.open_mfdataset` takes them, and without dask.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from pushforward.data.columns import listed
from pushforward.errors import InputError

__all__ = ["MEMBER", "is_pattern", "joined", "matches"]

MEMBER = "member"
"""The dimension of files in the same times."""

_MOST = 1 << 30
"""Bytes that are joined in memory."""

_CLOSE = 1e-3
"""How far coordinates may be from those of the first file, over the width of a cell."""


def is_pattern(source: Any) -> bool:
    """Whether a source is the pattern of several files, and no file of that name.

    >>> is_pattern("era5/*.nc"), is_pattern("era5/2000.nc")
    (True, False)
    """
    text = str(source) if isinstance(source, str | os.PathLike) else ""
    return glob.has_magic(text) and not Path(text).expanduser().exists()


def matches(pattern: str | os.PathLike[str]) -> list[Path]:
    """The files and folders of a pattern, in the order of their names."""
    return sorted(Path(name) for name in glob.glob(os.path.expanduser(pattern)))


def joined(places: Sequence[Path], stores: Sequence[Any], concat: Callable[..., Any]) -> Any:
    """One data set of several with the same variables on the same grid.

    Files whose times follow each other, by their first ones and whatever their names, become one
    series. Files in the same times become members, `member` in the order of their names, which
    `rows="member,time"` takes for series of their own.

    Args:
        places: what errors name.
        stores: data sets of `xarray`.
        concat: `xarray.concat`.

    Raises `InputError` for variables, units, sizes or coordinates that differ from those of the
    first file, for times that overlap, files without a common dimension of time, and for more than
    fits into memory.
    """
    first, where = stores[0], places[0]
    size = sum(one.nbytes for one in stores)
    if size > _MOST:
        raise InputError(
            f"{len(stores)} files of {size / 2**30:.1f} GiB are not joined in memory: put them "
            "into one store, whose rows are read as they are needed, such as "
            "xarray.open_mfdataset(files).to_zarr('all.zarr')"
        )
    time = _time_of(first, where)
    for place, one in zip(places[1:], stores[1:], strict=True):
        _same(one, place, first, where, time)
    times = [one[time].values for one in stores]
    kept = [name for name, one in first.data_vars.items() if time in one.dims]
    stores = [one[kept] for one in stores]
    settings: dict[str, Any] = {
        "join": "override", "combine_attrs": "override", "coords": "minimal", "compat": "override",
    }  # fmt: skip
    if all(len(at) == len(times[0]) and bool((at == times[0]).all()) for at in times):
        return concat(stores, MEMBER, data_vars="all", **settings)
    order = sorted(range(len(stores)), key=lambda k: times[k][0])
    for before, after in pairwise(order):
        if not times[before][-1] < times[after][0]:
            raise InputError(
                f"{places[after]} begins at {times[after][0]}, before {places[before]} ends, at "
                f"{times[before][-1]}: files are one series where their times follow each other, "
                "and members where they are the same"
            )
    return concat([stores[k] for k in order], time, data_vars="minimal", **settings)


def _time_of(store: Any, where: Path) -> str:
    """The dimension along which files follow each other."""
    there = [name for name in ("time", "valid_time", "t", "date") if name in store.dims]
    there += [
        str(name) for name in store.dims
        if name in store.coords and store.coords[name].dtype.kind == "M" and name not in there
    ]  # fmt: skip
    if not there or there[0] not in store.coords:
        raise InputError(
            f"{where} has no dimension of time with a coordinate, along which files follow each "
            f"other: it has {listed([str(name) for name in store.dims])}; join them yourself"
        )
    return there[0]


def _same(store: Any, place: Path, first: Any, where: Path, time: str) -> None:
    """Raise `InputError` for variables, dimensions, units or coordinates of another kind."""
    for name, its in first.data_vars.items():
        if time not in its.dims:
            continue
        if name not in store.data_vars:
            raise InputError(f"{place} has no variable {name!r}, which {where} has")
        mine = store[name]
        if mine.dims != its.dims:
            raise InputError(
                f"{place}: {name} lies on {listed(mine.dims)}, and in {where} on {listed(its.dims)}"
            )
        units = [str(one.attrs.get("units", "none")) for one in (mine, its)]
        if units[0] != units[1]:
            raise InputError(f"{place}: {name} is in {units[0]}, and in {where} in {units[1]}")
    for name in first.dims:
        if name == time:
            continue
        sizes = store.sizes.get(name), first.sizes[name]
        if sizes[0] != sizes[1]:
            raise InputError(f"{place} has {sizes[0]} cells along {name}, and {where} {sizes[1]}")
        if (name in store.coords) != (name in first.coords):
            raise InputError(f"of {place} and {where} one alone has a coordinate {name}")
        if name in first.coords and not _alike(store[name].values, first[name].values):
            raise InputError(f"{place}: the values of {name} are not those of {where}")
    if time not in store.coords:
        raise InputError(f"{place} has no coordinate {time}, which {where} has")
    kinds = [
        (one[time].dtype.kind, getattr(one[time].values[0], "calendar", "")) if one.sizes[time]
        else None
        for one in (store, first)
    ]  # fmt: skip
    if kinds[0] != kinds[1] or None in kinds:
        raise InputError(
            f"{place}: {time} is of another kind or calendar than in {where}, or empty"
        )


def _alike(mine: Any, its: Any) -> bool:
    if mine.dtype.kind in "iuf" and its.dtype.kind in "iuf":
        cell = np.abs(np.diff(its.astype(np.float64))).min() if len(its) > 1 else 1.0
        return bool(np.abs(mine.astype(np.float64) - its).max() <= _CLOSE * cell)
    return bool((mine == its).all())
