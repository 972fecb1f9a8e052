"""Arrays by name to files: numpy's archives, MATLAB, HDF5 and NetCDF."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward._extras import require

__all__ = ["ARRAYS", "ArrayWriter"]

Arrays = Mapping[str, NDArray[Any]]
"""Arrays of numbers, truths or words (of dtype object) by name, `(N, ...)` each."""

ArrayWriter = Callable[[Path, Arrays], None]
"""Writes arrays to a new file. The path may be that of a partial file, with another suffix."""


def _npz(path: Path, arrays: Arrays) -> None:
    with path.open("wb") as file:
        np.savez(file, **_without_objects(arrays))


def _matlab(path: Path, arrays: Arrays) -> None:
    matlab = require("scipy.io", extra="formats", purpose="write .mat files")
    matlab.savemat(path, _without_objects(arrays), appendmat=False, oned_as="column")


def _hdf5(path: Path, arrays: Arrays) -> None:
    h5py = require("h5py", extra="formats", purpose="write HDF5 files")
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            kind = h5py.string_dtype() if array.dtype == object else array.dtype
            file.create_dataset(name, data=array, dtype=kind)


def _netcdf(path: Path, arrays: Arrays) -> None:
    netcdf = require("netCDF4", extra="formats", purpose="write NetCDF files")
    with netcdf.Dataset(path, "w") as file:
        for name, array in arrays.items():
            sizes = [("row", len(array)), *((f"{name}_{k}", s) for k, s in _axes(array))]
            for axis, size in sizes:
                if axis not in file.dimensions:
                    file.createDimension(axis, size)
            # The format has words and numbers, but no truths.
            values = array.astype(np.int8) if array.dtype == bool else array
            kind = str if values.dtype == object else values.dtype
            file.createVariable(name, kind, [axis for axis, _ in sizes])[:] = values


def _without_objects(arrays: Arrays) -> dict[str, Any]:
    """Words as text of one width, where objects would be pickled or made cells."""
    return {name: a.astype(str) if a.dtype == object else a for name, a in arrays.items()}


def _axes(array: NDArray[Any]) -> list[tuple[int, int]]:
    return list(enumerate(array.shape))[1:]


ARRAYS: dict[str, ArrayWriter] = {
    ".npz": _npz,
    ".mat": _matlab,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
    ".nc": _netcdf,
}
"""What writes arrays by name, by the suffix of the file."""
