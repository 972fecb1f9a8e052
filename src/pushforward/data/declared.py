"""What the header of a file says it holds, compared with what is there before any of it is read."""

from __future__ import annotations

import math
from typing import Any, BinaryIO

import numpy as np

from pushforward import _memory
from pushforward.errors import InputError

__all__ = ["DEFLATE", "check_inflation", "check_npy", "check_ratio", "require_room"]

_MAGIC = b"\x93NUMPY"

DEFLATE = 1040
"""Deflate makes nothing smaller by more than this (1032, and some bytes)."""

_SUSPECT = 200
"""Numbers that were measured never shrink so far; empty pictures may, and are small."""

_SMALL = 2**28
"""Bytes that may inflate as they like."""

_OVERHEAD = 64


def require_room(shape: tuple[int, ...], dtype: Any, what: str, copies: int = 1) -> None:
    """Raise `InputError` for an array that does not fit in memory together with its float32 copy.

    `copies` is how often it is there at one time while it is read.

    >>> require_room((10**9, 10**6), "float64", "x.npy")
    Traceback (most recent call last):
    ...
    pushforward.errors.InputError: x.npy promises numbers of the shape (1000000000, 1000000), ...
    """
    needed = math.prod(map(int, shape)) * (copies * np.dtype(dtype).itemsize + 4)
    there = _memory.available()
    if there is not None and needed > there:
        raise InputError(
            f"{what} promises numbers of the shape {tuple(map(int, shape))}, which take "
            f"{_memory.in_words(needed)} with their copy in float32, and "
            f"{_memory.in_words(there)} of memory are free: give a part of it"
        )


def check_npy(file: BinaryIO, size: int, what: str) -> None:
    """Raise `InputError` if an `.npy` of `size` bytes does not hold what its header promises.

    Only the header is read. What is no `.npy`, or holds objects, is left to its reader.
    """
    start = file.read(len(_MAGIC) + 2)
    if not start.startswith(_MAGIC) or len(start) < len(_MAGIC) + 2:
        return
    version = start[len(_MAGIC)], start[len(_MAGIC) + 1]
    if version == (3, 0):
        raise InputError(
            f"{what} has named fields in letters beyond latin-1: make it a plain array with "
            "numpy.lib.recfunctions.structured_to_unstructured"
        )
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        return
    try:
        shape, _, dtype = readers[version](file)
    except Exception as error:  # a damaged header can raise nearly anything
        raise InputError(f"{what} is damaged ({error}): save it again") from None
    if dtype.hasobject:
        return
    if any(side < 0 for side in shape):
        raise InputError(f"{what} is damaged: its header has the shape {shape}")
    promised, found = math.prod(shape) * dtype.itemsize, size - file.tell()
    if promised != found:
        raise InputError(
            f"{what} promises {dtype} of the shape {shape}, {promised} bytes, but {found} follow "
            "its header: it was cut off, is damaged, or holds several arrays; save it again"
        )
    require_room(shape, dtype, what)


def check_inflation(packed: int, size: int, what: str) -> None:
    """Raise `InputError` if `packed` bytes inflate to a size beyond reason.

    Of a member of a zip archive it is the size in the directory, more than which is never read.
    """
    if size > DEFLATE * packed + _OVERHEAD:
        raise InputError(
            f"{what} is damaged: {packed} bytes cannot inflate to the {size} that it promises"
        )
    check_ratio(packed, size, what)


def check_ratio(packed: int, size: int, what: str) -> None:
    """Raise `InputError` if `packed` bytes stand for many, and for more of them than numbers do.

    >>> check_ratio(1000, 10**6, "x.arrow")
    >>> check_ratio(10**6, 10**9, "x.arrow")
    Traceback (most recent call last):
    ...
    pushforward.errors.InputError: x.arrow inflates from 976.6 KiB to 953.7 MiB or more, ...
    """
    if size > max(_SMALL, _SUSPECT * packed):
        raise InputError(
            f"{what} inflates from {_memory.in_words(packed)} to {_memory.in_words(size)} or more, "
            "which traps do and numbers hardly ever: if you know where it comes from, save it "
            "again without compression"
        )
