"""HDF5 files: `.h5`, `.hdf5`, and what MATLAB has saved in them since version 7.3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward._extras import require
from pushforward.data.declared import require_room
from pushforward.data.frames import read_frame
from pushforward.data.members import Chosen, read_members
from pushforward.data.raw import Raw
from pushforward.errors import InputError

__all__ = ["read_hdf5"]

_HIDDEN = "#"  # the groups in which MATLAB keeps what cells and strings refer to


def read_hdf5(path: Path, chosen: Chosen, *, matlab: bool = False) -> Raw:
    """The datasets of an HDF5 file, in groups too (`group/x`); one with named fields is a table.

    Those that MATLAB wrote have their axes turned around, as it counts the first one fastest, and
    its logical arrays are booleans. Needs the extra `formats`. Raises `InputError` for damaged
    files, and for strings, objects and references in the place of numbers.
    """
    h5py = require("h5py", extra="formats", purpose="read HDF5 files")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise InputError(
            f"{path} is damaged or not an HDF5 file ({error}): save it again"
        ) from None
    with file:
        keys: list[str] = []

        def keep(name: str, found: Any) -> None:
            if isinstance(found, h5py.Dataset) and not name.startswith(_HIDDEN) and found.shape:
                keys.append(name)

        file.visititems(keep)

        def member(name: str) -> NDArray[Any]:
            dataset = file[name]
            if h5py.check_string_dtype(dataset.dtype) is not None:
                return np.array(dataset.asstr()[()], dtype=str)
            if dataset.dtype.kind == "O" or dataset.attrs.get("MATLAB_class") in (b"char", b"cell"):
                raise InputError(
                    f"{path}, array {name!r} holds objects or text, not numbers: save an array"
                )
            require_room(dataset.shape, dataset.dtype, f"{path}, array {name!r}")
            try:
                array: NDArray[Any] = dataset[()]
            except (OSError, ValueError) as error:
                raise InputError(f"{path}, array {name!r} is damaged ({error})") from None
            if not matlab:
                return array
            logical = dataset.attrs.get("MATLAB_class") == b"logical"
            return (array.astype(bool) if logical else array).T

        table = chosen.key or (keys[0] if len(keys) == 1 else "")
        if table in keys and file[table].dtype.names:
            pandas = require("pandas", extra="data", purpose="read tables of HDF5 files")
            require_room(file[table].shape, file[table].dtype, f"{path}, table {table!r}")
            frame = pandas.DataFrame(file[table][()])
            for name in frame.columns:
                if frame[name].dtype == object:
                    frame[name] = frame[name].str.decode("utf-8")
            return read_frame(frame, chosen.label, source=f"{path}, {table!r}")
        return read_members(path, keys, member, chosen)
