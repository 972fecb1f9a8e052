"""The file of a code: what it holds, whose it is, and that it is whole.

"PFC1"  checksum of the rest (4 bytes)
fingerprint of the model (8)  count of states (4)  checksum of the states (4)
length of the names (4)  the names, deflated JSON  the words of the code
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from pushforward.errors import InputError

__all__ = ["Archive", "check_names"]

_MAGIC = b"PFC1"
_HEAD = struct.Struct("<8sIII")
_LONGEST_NAME = 1000
_LARGEST_NAMES = 64 << 20
_ESCAPED = 6
"""Letters of JSON for a letter that is not ASCII."""


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
        words = rest[middle:]
        # A right checksum says that the file is whole, not that it was made by us.
        if not count or len(words) < 4 or len(words) % 4:
            raise InputError(f"{name} says {count} states in {len(words)} bytes: it is forged")
        names = _names(rest[_HEAD.size : middle], count, name) if length else ()
        return cls(fingerprint, count, checksum, names, np.frombuffer(words, "<u4").copy())


def _names(deflated: bytes, count: int, name: str) -> tuple[str, ...]:
    """The names of `count` pictures. Raises `InputError` unless they are, and stay in a folder."""
    inflater = zlib.decompressobj()
    try:
        text = inflater.decompress(deflated, min(_ESCAPED * _LONGEST_NAME * count, _LARGEST_NAMES))
        if not inflater.eof or inflater.unused_data:
            raise InputError(f"{name} holds more names than states, or cut off ones: it is forged")
        found = json.loads(text)
    except (zlib.error, ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"the names in {name} cannot be read: it is forged") from None
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise InputError(f"{name} has no list of names: it is forged")
    if len(found) != count:
        raise InputError(f"{name} has {len(found)} names for {count} states: it is forged")
    check_names(found)
    return tuple(found)


def check_names(names: Sequence[str]) -> None:
    """Raise `InputError` for names of pictures that do not stay apart within one new folder.

    Whoever made the file must not choose where on this machine it writes, nor what.

    >>> check_names(["a/b.png", "../b.png"])
    Traceback (most recent call last):
    ...
    pushforward.errors.InputError: the name '../b.png' leads out of the folder
    """
    seen: set[str] = set()
    for name in names:
        parts = name.split("/")
        if set(parts) & {"", ".", ".."} or set(name) & set("\\:"):
            raise InputError(f"the name {name!r} leads out of the folder")
        if not name.isprintable() or len(name) > _LONGEST_NAME:
            raise InputError(f"the name {name[:80]!r} is none of a file")
        if PurePosixPath(name).suffix.lower() != ".png":
            raise InputError(f"the name {name!r} is not that of a picture, .png")
        if name in seen:
            raise InputError(f"the name {name!r} occurs twice")
        seen.add(name)
    folders = {str(folder) for name in names for folder in PurePosixPath(name).parents}
    if both := folders & seen:
        raise InputError(f"the name {min(both)!r} is that of a picture and of a folder")
