"""Arrays inside a configuration: coordinates and masks as text, with all their bits."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["PackedArray"]


@dataclass(frozen=True)
class PackedArray:
    """An array as its type, its shape and its compressed bytes in base 64.

    >>> packed = PackedArray.of(np.linspace(0.0, 1.0, 5))
    >>> packed.array()
    array([0.  , 0.25, 0.5 , 0.75, 1.  ])
    >>> PackedArray.from_description(packed.describe()) == packed
    True
    """

    dtype: str
    shape: tuple[int, ...]
    text: str

    @classmethod
    def of(cls, array: NDArray[Any]) -> PackedArray:
        """Of numbers, truths, days or words, in the byte order of all machines."""
        array = np.asarray(array)
        if array.dtype.kind in "OT":  # words of any length
            array = np.array(array.tolist(), dtype=str)
        array = array.astype(array.dtype.newbyteorder("<"))
        content = np.packbits(array) if array.dtype == bool else np.ascontiguousarray(array)
        text = base64.b64encode(zlib.compress(content.tobytes(), 9)).decode()
        return cls(array.dtype.str, array.shape, text)

    def array(self) -> NDArray[Any]:
        """The array."""
        content = zlib.decompress(base64.b64decode(self.text))
        if self.dtype == "|b1":
            bits = np.unpackbits(np.frombuffer(content, np.uint8), count=int(np.prod(self.shape)))
            return bits.astype(bool).reshape(self.shape)
        return np.frombuffer(content, np.dtype(self.dtype)).reshape(self.shape).copy()

    def describe(self) -> dict[str, Any]:
        """Plain values."""
        return {"dtype": self.dtype, "shape": list(self.shape), "packed": self.text}

    @classmethod
    def from_description(cls, described: Mapping[str, Any]) -> PackedArray:
        """The array that `describe` described."""
        return cls(described["dtype"], tuple(described["shape"]), described["packed"])
