"""Showers as a Zarr store or a NetCDF file, with times, coordinates and units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from pushforward._extras import require
from pushforward._files import check_writable, new_folder, replacing
from pushforward.errors import InputError
from pushforward.fluids.rain import Showers

__all__ = ["record_showers"]

_MINUTES = 5
"""From a frame to the next."""


def record_showers(showers: Showers, out: str | Path, frames: int, *, seed: int = 0) -> Tensor:
    """Write the rates of rain of some frames, `(time, y, x)`, which are returned.

    Args:
        showers: what rains.
        out: a `.zarr` or a `.nc`, which is not there.
        frames: how many, five minutes apart.
        seed: of everything.

    Raises `InputError` for another suffix, or a place that is taken or cannot be written, and
    `MissingExtraError` where a package is needed.
    """
    place = Path(out)
    if place.suffix not in (".zarr", ".nc"):
        raise InputError(f"frames go to .zarr or .nc, not {place.name!r}")
    packages = ("xarray", "zarr" if place.suffix == ".zarr" else "netCDF4")
    for package in packages:
        require(package, extra="fields", purpose="write fields")
    check_writable(place)
    if place.exists():
        raise InputError(f"{place} is there already: remove it, or write elsewhere")
    found = showers.frames(frames, seed=seed)
    import xarray

    axis = {"long_name": "distance", "units": "km", "periodic": 1}
    since = np.datetime64("2000-01-01", "ns")
    made = xarray.Dataset(
        {
            "rain": (
                ("time", "y", "x"),
                found.numpy(),
                {"long_name": "rate of rain", "units": "mm/h", "valid_min": 0.0},
            )
        },
        {
            "time": since + np.arange(frames) * np.timedelta64(_MINUTES, "m"),
            "y": ("y", np.arange(showers.n) * 1.0, axis),
            "x": ("x", np.arange(showers.n) * 1.0, axis),
        },
        {"title": "Simulated showers", "Conventions": "CF-1.8", "seed": seed},
    )
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.suffix == ".zarr":
        with new_folder(place) as folder:
            made.to_zarr(folder, zarr_format=2, consolidated=True)
    else:
        with replacing(place) as partial:
            made.to_netcdf(partial, engine="netcdf4")
    return found
