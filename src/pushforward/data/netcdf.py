"""NetCDF files: `.nc`, of all versions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward._extras import require
from pushforward.data.declared import require_room
from pushforward.data.members import Chosen, read_members
from pushforward.data.raw import Raw
from pushforward.errors import InputError

__all__ = ["read_netcdf"]


def read_netcdf(path: Path, chosen: Chosen) -> Raw:
    """The variables of a NetCDF file as arrays, in groups too (`group/x`).

    Scales, offsets and fill values are applied: what is missing is NaN. Coordinates, which have the
    name of their dimension, are not among the data unless `key` names one. There are no labels
    unless `label` names a variable. Needs the extra `formats`. Raises `InputError` for damaged
    files.
    """
    netcdf = require("netCDF4", extra="formats", purpose="read NetCDF files")
    try:
        file = netcdf.Dataset(path, "r")
    except OSError as error:
        raise InputError(
            f"{path} is damaged or not a NetCDF file ({error}): save it again"
        ) from None
    if file.data_model.startswith("NETCDF3"):
        _refuse_torn(path, file)
    with file:
        found = dict(_variables(file, ""))
        data = [name for name, v in found.items() if v.ndim and v.name not in v.dimensions]
        asked = [name for name in (chosen.key, chosen.label) if name in found and name not in data]
        label = chosen.label
        if label is None:
            # `y` is a place as often as a label here; that of a run is known by its name.
            label = chosen.label_key if chosen.label_key in found else False

        def member(name: str) -> NDArray[Any]:
            if found[name].dtype is not str:
                require_room(found[name].shape, found[name].dtype, f"{path}, variable {name!r}")
            try:
                array: NDArray[Any] = found[name][...]
            except (OSError, RuntimeError, ValueError) as error:
                raise InputError(f"{path}, variable {name!r} is damaged ({error})") from None
            if isinstance(array, np.ma.MaskedArray) and array.dtype.kind not in "biuf":
                return array.filled()
            return array

        return read_members(path, [*data, *asked], member, chosen._replace(label=label))


def _refuse_torn(path: Path, file: Any) -> None:
    """An `InputError` for a classic file that ends early, in which netCDF4 reads zeros."""
    scipy = require("scipy.io", extra="formats", purpose="read NetCDF files")
    try:
        scipy.netcdf_file(path, "r", mmap=False).close()
    except Exception as error:  # a damaged file can raise nearly anything
        file.close()
        raise InputError(
            f"{path} is damaged or of a kind that is not read ({error}): save it as NetCDF 4"
        ) from None


def _variables(group: Any, above: str) -> Iterator[tuple[str, Any]]:
    for name, variable in group.variables.items():
        yield f"{above}{name}", variable
    for name, inner in group.groups.items():
        yield from _variables(inner, f"{above}{name}/")
