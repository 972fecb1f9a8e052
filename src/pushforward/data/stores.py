"""NetCDF files, Zarr stores and `xarray` objects, opened without reading them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pushforward._extras import require
from pushforward.data.joined_stores import is_pattern, joined, matches
from pushforward.errors import InputError

__all__ = ["is_store", "opened", "plain_attributes", "xarray_of"]

NETCDF = (".nc", ".nc4", ".cdf")
_ZARR = ("zarr.json", ".zgroup", ".zmetadata", ".zarray")


def xarray_of(purpose: str) -> Any:
    """The package `xarray`. Raises `MissingExtraError` without it."""
    return require("xarray", extra="fields", purpose=purpose)


def is_store(source: Any) -> bool:
    """Whether a source holds fields: an object of `xarray`, a Zarr store, a NetCDF file with a
    variable of two or more dimensions of which one has a coordinate, or a pattern of such files.

    >>> is_store("table.csv")
    False
    """
    xarray = sys.modules.get("xarray")
    if xarray is not None and isinstance(source, xarray.DataArray | xarray.Dataset):
        return True
    if not isinstance(source, str | os.PathLike) or not str(source).strip():
        return False
    if is_pattern(source):
        found = matches(source)
        return bool(found) and all(map(is_store, found))
    path = Path(source).expanduser()
    if path.is_dir():
        return any((path / name).is_file() for name in _ZARR)
    if not path.name.lower().endswith(NETCDF) or not path.is_file():
        return False
    return _has_grid(path)


def opened(source: Any) -> tuple[Any, str]:
    """A data set of `xarray` whose values are read when they are asked for, and what to call it; of
    a pattern the files that it matches, `joined` in memory.

    Raises `InputError` for stores that cannot be opened, `MissingExtraError` without the packages.
    """
    xarray = xarray_of("read fields")
    if isinstance(source, xarray.DataArray):
        return source.to_dataset(name=source.name or "x"), f"the array {source.name or 'x'}"
    if isinstance(source, xarray.Dataset):
        return source, "the data set"
    if is_pattern(source):
        places = matches(source)
        stores = [opened(place)[0] for place in places]
        return joined(places, stores, xarray.concat), str(source)
    path = Path(source).expanduser()
    more: dict[str, Any] = {"engine": "netcdf4"}
    if path.is_dir():
        require("zarr", extra="fields", purpose="read Zarr stores")
        more = {"engine": "zarr", "consolidated": False}
    else:
        require("netCDF4", extra="fields", purpose="read NetCDF files")
    try:
        # Without dask: rows are read by their numbers.
        found = xarray.open_dataset(path, chunks=None, cache=False, decode_timedelta=False, **more)
    except Exception as error:  # a damaged store can raise nearly anything
        raise InputError(f"{path} is damaged or no store of fields ({error})") from None
    return found, str(path)


def plain_attributes(attributes: Mapping[Any, Any]) -> dict[str, Any] | None:
    """Attributes as plain values; `None` for none.

    >>> plain_attributes({"units": "K", "range": np.array([1.0, 2.0]), "n": np.int64(3)})
    {'units': 'K', 'range': [1.0, 2.0], 'n': 3}
    """
    found: dict[str, Any] = {}
    for key, value in attributes.items():
        if isinstance(value, np.ndarray | np.generic):
            value = value.tolist()
        plain = isinstance(value, str | int | float | bool | list | tuple)
        found[str(key)] = value if plain else str(value)
    return found or None


def _has_grid(path: Path) -> bool:
    netcdf = require("netCDF4", extra="formats", purpose="read NetCDF files")
    try:
        with netcdf.Dataset(path, "r") as file:
            return any(
                len(variable.dimensions) > 1
                and any(name in file.variables for name in variable.dimensions)
                for variable in file.variables.values()
            )
    except OSError:
        # Whoever reads it says what is wrong.
        return False
