"""Arrays of MATLAB: `.mat` files, of all versions."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward._extras import require
from pushforward.data.declared import check_inflation, require_room
from pushforward.data.hdf5 import read_hdf5
from pushforward.data.members import Chosen, read_members
from pushforward.data.raw import Raw
from pushforward.errors import InputError

__all__ = ["read_mat"]

_HDF5 = b"\x89HDF\r\n\x1a\n"
_HEADER = 512  # of MATLAB, before that of HDF5

_START = 128  # bytes of a file of version 5, which end with the order of bytes
_COMPRESSED = 15  # the kind of an element that is packed
_BLOCK = 1 << 20


def read_mat(path: Path, chosen: Chosen) -> Raw:
    """The arrays of a `.mat` file. Cells, structures and objects are refused, as is text as data.

    Needs the extra `formats`. Raises `InputError` for damaged files.
    """
    with path.open("rb") as file:
        start = file.read(_HEADER + len(_HDF5))
    if start.startswith(_HDF5) or start[_HEADER:] == _HDF5:
        return read_hdf5(path, chosen, matlab=True)
    matlab = require("scipy.io", extra="formats", purpose="read .mat files")
    try:
        inside = matlab.whosmat(path)
        for name, shape, _ in inside:
            require_room(shape, "float64", f"{path}, array {name!r}")
        _check_packed(path)
        # In the types of MATLAB: doubles that happen to be small integers are written as bytes.
        found = matlab.loadmat(path, mat_dtype=True)
    except InputError:
        raise
    except Exception as error:  # a damaged file can raise nearly anything
        raise InputError(f"{path} is damaged or not a .mat file ({error}): save it again") from None
    arrays = {
        k: v for k, v in found.items() if not k.startswith("__") and isinstance(v, np.ndarray)
    }

    def member(name: str) -> NDArray[Any]:
        array = arrays[name]
        if array.dtype.kind not in "biufcUS":
            raise InputError(
                f"{path}, array {name!r} holds cells, structures or objects, not numbers: save an "
                "array of them"
            )
        return array[:, 0] if array.dtype.kind == "U" and array.shape[1:] == (1,) else array

    return read_members(path, list(arrays), member, chosen)


def _check_packed(path: Path) -> None:
    """Raise `InputError` for a variable that inflates beyond reason, whatever its shape says."""
    with path.open("rb") as file:
        order = {b"IM": "<", b"MI": ">"}.get(file.read(_START)[-2:])
        while order and len(tag := file.read(8)) == 8:
            kind, size = struct.unpack(f"{order}II", tag)
            if kind != _COMPRESSED:
                file.seek(size, os.SEEK_CUR)
                continue
            inflater, seen, left = zlib.decompressobj(), 0, size
            while block := file.read(min(left, _BLOCK)):
                left -= len(block)
                while block:
                    seen += len(inflater.decompress(block, _BLOCK))
                    check_inflation(size, seen, str(path))
                    block = inflater.unconsumed_tail
