"""IDX files, in which MNIST and its relatives come: a few bytes of header, then the numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.errors import InputError

__all__ = ["parse_idx"]

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_LONGEST = 8  # axes


def parse_idx(content: bytes, source: str) -> NDArray[Any]:
    """The array in the bytes of an IDX file, in the machine's own byte order.

    The header is two zeros, a byte for the type of the numbers, a byte for how many axes there are,
    and the length of each as a big-endian 32-bit number; the numbers follow, the last axis fastest
    (LeCun, Cortes & Burges, http://yann.lecun.com/exdb/mnist). `source` is what errors name.

    Raises `InputError` for bytes that do not begin so, and for more or fewer numbers than the
    header promises.

    >>> parse_idx(bytes([0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 3, 5, 6, 7]), "three bytes").tolist()
    [[5, 6, 7]]
    """
    if len(content) < 4 or content[:2] != b"\0\0":
        raise InputError(
            f"{source} is no IDX file: it begins with the bytes {content[:4].hex(' ') or '(none)'},"
            " not with two zeros, a type and a number of axes"
        )
    code, axes = content[2], content[3]
    if code not in _TYPES:
        known = ", ".join(f"{known:#04x}" for known in _TYPES)
        raise InputError(f"{source} has numbers of the type {code:#04x}; IDX knows {known}")
    if not 1 <= axes <= _LONGEST:
        raise InputError(f"{source} has {axes} axes; 1 to {_LONGEST} are read")
    start = 4 + 4 * axes
    if len(content) < start:
        raise InputError(f"{source} ends within its header, after {len(content)} bytes of {start}")
    shape = tuple(int(n) for n in np.frombuffer(content, ">u4", axes, 4))
    dtype = np.dtype(_TYPES[code])
    expected, found = math.prod(shape) * dtype.itemsize, len(content) - start
    if found != expected:
        raise InputError(
            f"{source} promises {' x '.join(map(str, shape))} numbers in {expected} bytes, but "
            f"{found} follow its header: it was cut off or is damaged"
        )
    array = np.frombuffer(content, dtype, offset=start).reshape(shape)
    return array.astype(dtype.newbyteorder("="))
