from __future__ import annotations

import struct

import numpy as np
import pytest

from pushforward.data.idx import parse_idx
from pushforward.errors import InputError


@pytest.mark.parametrize(
    ("code", "dtype"), [(8, "u1"), (9, "i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")]
)
@pytest.mark.parametrize("shape", [(5,), (2, 3), (2, 1, 4), (0, 3)])
def test_all_types_and_shapes(code: int, dtype: str, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    header = struct.pack(f">BBBB{len(shape)}I", 0, 0, code, len(shape), *shape)
    read = parse_idx(header + array.tobytes(), "a file")
    assert read.dtype == array.dtype.newbyteorder("=")
    assert read.shape == shape
    assert (read == array).all()
    assert read.flags.writeable


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"a file is no IDX file: it begins with the bytes \(none\)"),
        (b"\0\0\x08", "begins with the bytes 00 00 08"),
        (b"\x1f\x8b\x08\0rest", "begins with the bytes 1f 8b 08 00"),
        (b"\0\0\x07\x01\0\0\0\0", "numbers of the type 0x07; IDX knows 0x08, 0x09"),
        (b"\0\0\x08\0", "0 axes; 1 to 8"),
        (b"\0\0\x08\xff", "255 axes; 1 to 8"),
        (b"\0\0\x08\x02\0\0\0\x05", "ends within its header, after 8 bytes of 12"),
        (
            b"\0\0\x0b\x02\0\0\0\x02\0\0\0\x03" + bytes(11),
            "promises 2 x 3 numbers in 12 bytes, but 11 follow",
        ),
        (b"\0\0\x08\x01\0\0\0\x02abc", "promises 2 numbers in 2 bytes, but 3 follow"),
        # Lengths whose product is beyond 64 bits must not wrap around to something that fits.
        (b"\0\0\x08\x03" + b"\x80\0\0\0" * 3, "2147483648 x 2147483648 x 2147483648 numbers"),
    ],
)
def test_damage_is_named(content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_idx(content, "a file")
