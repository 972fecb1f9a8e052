"""Frames of a flow as a Zarr store, a NetCDF file, or arrays: with coordinates and units."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward._extras import require
from pushforward._files import check_writable, new_folder, replacing
from pushforward.errors import InputError

__all__ = ["STORES", "FrameStore"]

STORES = (".zarr", ".nc", ".npz")

_LONG_NAMES = {
    "vorticity": "vorticity",
    "supersaturation": "water vapor above saturation",
    "time": "time",
    "y": "distance towards the north",
    "x": "distance towards the east",
    "context": "waves of the saturated water vapor",
}


@dataclass(frozen=True)
class FrameStore:
    """Where frames go: variables with the dimensions `(time, y, x)`.

    All are without dimension, and have the units 1; one unit of time is that in which air of speed
    one moves by one radian of the square. Coordinates say that the square is periodic. In an
    `.npz` the one of both directions is `axis`.

    Args:
        path: of a Zarr store, a `.nc` file, or an `.npz`.

    Raises `InputError` for another suffix, or a place that is taken or cannot be written, and
    `MissingExtraError` where a package is needed.
    """

    path: Path

    def __post_init__(self) -> None:
        suffix = self.path.suffix
        if suffix not in STORES:
            raise InputError(f"frames go to {', '.join(STORES)}, not {self.path.name!r}")
        if suffix == ".zarr":
            require("zarr", extra="fields", purpose="write Zarr stores")
        if suffix == ".nc":
            require("netCDF4", extra="fields", purpose="write NetCDF files")
        if suffix != ".npz":
            require("xarray", extra="fields", purpose="write fields")
        check_writable(self.path)
        if self.path.exists():
            raise InputError(f"{self.path} is there already: remove it, or write elsewhere")

    def write(
        self,
        parts: Iterable[dict[str, NDArray[Any]]],
        time: NDArray[Any],
        axis: NDArray[Any],
        context: NDArray[Any] | None,
        attributes: dict[str, Any],
    ) -> None:
        """Write frames, which come in parts, so that a Zarr store may be larger than memory.

        Args:
            parts: the variables, `(frames, n, n)` each.
            time: of all frames.
            axis: of both directions in space.
            context: a field `(n, n)` that stays as it is.
            attributes: of the whole, plain values.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.suffix == ".zarr":
            with new_folder(self.path) as folder:
                for k, found in enumerate(_sets(parts, time, axis, context, attributes)):
                    more: dict[str, Any] = {"append_dim": "time"} if k else {"mode": "w"}
                    found.to_zarr(folder, zarr_format=2, consolidated=False, **more)
            return
        (whole,) = [_joined(list(parts))]
        with replacing(self.path) as partial:
            if self.path.suffix == ".nc":
                (found,) = _sets([whole], time, axis, context, attributes)
                found.to_netcdf(partial, engine="netcdf4")
                return
            arrays: dict[str, Any] = {**whole, "time": time, "axis": axis}
            if context is not None:
                arrays["context"] = context
            with partial.open("wb") as file:
                np.savez(file, **arrays)


def _joined(parts: list[dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _sets(
    parts: Iterable[dict[str, NDArray[Any]]],
    time: NDArray[Any],
    axis: NDArray[Any],
    context: NDArray[Any] | None,
    attributes: dict[str, Any],
) -> Iterator[Any]:
    """A data set of `xarray` for each part, with its times."""
    import xarray

    def said(name: str) -> dict[str, Any]:
        return {"long_name": _LONG_NAMES[name], "units": "1"}

    at = 0
    for part in parts:
        count = len(next(iter(part.values())))
        coordinates: dict[str, Any] = {
            "time": ("time", time[at : at + count], said("time")),
            # What reads fields joins the ends of such an axis.
            "y": ("y", axis, {**said("y"), "periodic": 1}),
            "x": ("x", axis, {**said("x"), "periodic": 1}),
        }
        if context is not None:
            coordinates["context"] = (("y", "x"), context, said("context"))
        variables = {name: (("time", "y", "x"), x, said(name)) for name, x in part.items()}
        yield xarray.Dataset(variables, coordinates, attributes)
        at += count
