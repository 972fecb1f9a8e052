"""Fields to `xarray` data sets, NetCDF files and Zarr stores, with what the data came with."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from pushforward._extras import require
from pushforward.data.field_format import FieldFormat, FieldVariable
from pushforward.data.schema import Schema
from pushforward.data.stores import xarray_of
from pushforward.errors import InputError

__all__ = ["STORES", "to_xarray"]


def to_xarray(x: Tensor, schema: Schema | FieldFormat) -> Any:
    """Fields as an `xarray.Dataset`, in the variables, dimensions, units and types of their data.

    Cells without values are NaN. Rows have no coordinate: samples are of no time, unless what is
    said of the fields has one.

    Args:
        x: `(N, C, *sizes)`, or several draws of each row, `(draws, N, C, *sizes)`, whose dimension
            is `member`, or `draw` where rows are members.
        schema: of the data, such as `data.schema`, or what it says of fields.

    Raises `InputError` for a schema without fields, or fields of another shape; `MissingExtraError`
    without `xarray`.
    """
    xarray = xarray_of("write fields")
    found = schema.fields if isinstance(schema, Schema) else schema
    if found is None:
        raise InputError("these data came from no store of fields, whose dimensions they had")
    first = x.ndim - len(found.event_shape)
    if first not in (1, 2) or tuple(x.shape[first:]) != found.event_shape:
        raise InputError(f"fields have shape {found.event_shape}, not {tuple(x.shape[1:])}")
    values = found.with_gaps(x.detach().cpu()).numpy()
    along = (_draws_name(found), found.row_name)[-first:]
    made, at = {}, 0
    for one in found.variables:
        part = values[(slice(None),) * first + (slice(at, at + one.channels),)]
        at += one.channels
        part = part.reshape(*x.shape[:first], *(size for _, size in one.levels), *found.sizes)
        dims = (*along, *(name for name, _ in one.levels), *found.dims)
        made[one.name] = (dims, _typed(part, one), dict(one.attributes or {}))
    coordinates = {
        one.name: (one.dims, one.values.array(), dict(one.attributes or {}))
        for one in found.coordinates
    }
    return xarray.Dataset(made, coordinates, dict(found.attributes or {}))


def _draws_name(found: FieldFormat) -> str:
    """The dimension of several draws of each row."""
    return "draw" if "member" in (*found.rows, *found.dims) else "member"


def _typed(values: Any, variable: FieldVariable) -> Any:
    """Values in the type of the store: whole numbers to the nearest that there is."""
    kind = np.dtype(variable.dtype)
    if kind.kind == "f":
        return values.astype(kind)
    if np.isnan(values).any():
        return values  # no whole number says that there is none
    if kind.kind == "b":
        return values > 0.5
    limits = np.iinfo(kind)
    return values.astype(np.float64).round().clip(limits.min, limits.max).astype(kind)


def _encoding(found: FieldFormat, x: Tensor, *, zarr: bool) -> dict[str, dict[str, Any]]:
    """The chunks of the store that the data came from, no longer than what is written."""
    encoding = {}
    *draws, rows = x.shape[: x.ndim - len(found.event_shape)]
    for one in found.variables:
        own: dict[str, Any] = {}
        if one.chunks is not None:
            sizes = (rows, *(size for _, size in one.levels), *found.sizes)
            chunks = tuple(min(c, s) for c, s in zip(one.chunks, sizes, strict=True))
            own["chunks" if zarr else "chunksizes"] = (*(1 for _ in draws), *chunks)
        if not zarr:
            own["zlib"] = True
        if np.dtype(one.dtype).kind == "f":
            own["_FillValue"] = np.nan
        encoding[one.name] = own
    return encoding


def _netcdf(path: Path, x: Tensor, found: FieldFormat) -> None:
    require("netCDF4", extra="fields", purpose="write NetCDF files")
    made = to_xarray(x, found)
    made.to_netcdf(path, engine="netcdf4", encoding=_encoding(found, x, zarr=False))


def _zarr(path: Path, x: Tensor, found: FieldFormat) -> None:
    require("zarr", extra="fields", purpose="write Zarr stores")
    made = to_xarray(x, found)
    with warnings.catch_warnings():
        # Words have no type of their own in the format of Zarr 3 yet.
        warnings.simplefilter("ignore")
        # Format 2 is what every reader knows, with the metadata of all variables in one place.
        made.to_zarr(
            path, mode="w", zarr_format=2, consolidated=True,
            encoding=_encoding(found, x, zarr=True),
        )  # fmt: skip


STORES: dict[str, Callable[[Path, Tensor, FieldFormat], None]] = {".nc": _netcdf, ".zarr": _zarr}
"""What writes fields with their coordinates, by the suffix."""
