"""The file of a code: what it holds, whose it is, and that it is whole.

"PFC1"  checksum of the rest (4 bytes)
fingerprint of the model (8)  count of states (4)  checksum of the states (4)
length of the names (4)  the names, deflated JSON  the words of the code
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from pushforward.errors import InputError

__all__ = ["Archive"]

_MAGIC = b"PFC1"
_HEAD = struct.Struct("<8sIII")


@dataclass(frozen=True)
class Archive:
    """A code with all that is needed to read it.

    Args:
        fingerprint: of the model, 8 bytes.
        count: how many states.
        checksum: of the states' levels.
        names: of the states, or nothing.
        words: the code, 32-bit.

    >>> archive = Archive(bytes(8), 1, 7, ("a.png",), np.array([1, 2], dtype=np.uint32))
    >>> Archive.from_bytes(archive.to_bytes(), "x.pf").names
    ('a.png',)
    """

    fingerprint: bytes
    count: int
    checksum: int
    names: tuple[str, ...]
    words: np.ndarray[Any, Any]

    def to_bytes(self) -> bytes:
        """The whole file."""
        names = zlib.compress(json.dumps(self.names).encode(), 9) if self.names else b""
        head = _HEAD.pack(self.fingerprint, self.count, self.checksum, len(names))
        rest = head + names + self.words.astype("<u4").tobytes()
        return _MAGIC + struct.pack("<I", zlib.crc32(rest)) + rest

    @classmethod
    def from_bytes(cls, data: bytes, name: str) -> Archive:
        """What `to_bytes` wrote. Raises `InputError` for any other file, or a damaged one."""
        if data[:4] != _MAGIC:
            raise InputError(f"{name} was not written by `pushforward compress`")
        rest = data[8:]
        if len(rest) < _HEAD.size or struct.unpack("<I", data[4:8])[0] != zlib.crc32(rest):
            raise InputError(f"{name} is damaged or cut off: its checksum is wrong")
        fingerprint, count, checksum, length = _HEAD.unpack(rest[: _HEAD.size])
        middle = _HEAD.size + length
        names = json.loads(zlib.decompress(rest[_HEAD.size : middle])) if length else []
        words = np.frombuffer(rest[middle:], dtype="<u4").astype(np.uint32)
        return cls(fingerprint, count, checksum, tuple(names), words)
