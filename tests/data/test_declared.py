"""Headers that lie and files that inflate are refused by size, before memory is asked for."""

from __future__ import annotations

import io
import struct
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from pushforward import _memory
from pushforward.data import load
from pushforward.errors import InputError


def header(shape: tuple[int, ...], dtype: str = "<f8", version: tuple[int, int] = (1, 0)) -> bytes:
    """The beginning of an `.npy` that promises some shape."""
    file = io.BytesIO()
    about = {"descr": dtype, "fortran_order": False, "shape": shape}
    if version == (3, 0):
        text = (repr(about) + "\n").encode()
        return b"\x93NUMPY\x03\x00" + struct.pack("<I", len(text)) + text
    if version == (1, 0):
        np.lib.format.write_array_header_1_0(file, about)
    else:
        np.lib.format.write_array_header_2_0(file, about)
    return file.getvalue()


def bomb(path: Path, start: bytes, size: int) -> None:
    """An archive with one array of zeros, packed block by block."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("x.npy", "w", force_zip64=True) as file,
    ):
        file.write(start)
        block = bytes(2**20)
        for _ in range(size // 2**20):
            file.write(block)


def test_an_archive_that_inflates_beyond_reason(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    bomb(path, header((2**22, 8)), 2**28 + 2**20)
    assert path.stat().st_size < 2**22
    before = time.monotonic()
    with pytest.raises(InputError, match=r"bomb\.npz, array 'x' inflates from .* to 257\.0 MiB"):
        load(path)
    assert time.monotonic() - before < 1


def test_zeros_that_are_few_inflate(tmp_path: Path) -> None:
    path = tmp_path / "zeros.npz"
    np.savez_compressed(path, x=np.zeros((100_000, 8)))
    assert path.stat().st_size < 100_000 * 64 / 200
    assert load(path).x.shape == (100_000, 8)


def test_an_archive_whose_directory_lies(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez_compressed(path, x=np.zeros((4, 2)))
    content = bytearray(path.read_bytes())
    # The size before packing, in the directory at the end.
    at = content.index(b"PK\x01\x02") + 24
    content[at : at + 4] = struct.pack("<I", 2**31)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"array 'x' is damaged: \d+ bytes cannot inflate to"):
        load(path)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_a_header_that_promises_what_does_not_follow(
    tmp_path: Path, suffix: str, version: tuple[int, int], monkeypatch
) -> None:
    path = tmp_path / f"x{suffix}"
    content = header((10**6, 10**6), version=version) + bytes(800)
    if suffix == ".npy":
        path.write_bytes(content)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", content)
    monkeypatch.setattr(np.lib.format, "read_array", None)
    with pytest.raises(InputError, match=r"promises float64 of the shape|named fields"):
        load(path)


def test_two_arrays_in_one_file_are_not_half_read(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    with path.open("wb") as file:
        np.save(file, np.ones((4, 2)))
        np.save(file, np.zeros((4, 2)))
    with pytest.raises(InputError, match="holds several arrays"):
        load(path)


def little(monkeypatch) -> None:
    monkeypatch.setattr(_memory, "available", lambda: 1000)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".mat", ".h5", ".nc"])
def test_arrays_beyond_memory_are_refused_before_they_are_read(
    tmp_path: Path, suffix: str, monkeypatch
) -> None:
    path, x = tmp_path / f"x{suffix}", np.ones((40, 4))
    if suffix == ".npy":
        np.save(path, x)
    else:
        from pushforward.data.array_files import ARRAYS

        ARRAYS[suffix](path, {"x": x})
    assert load(path).x.shape == (40, 4)
    little(monkeypatch)
    message = (
        r"promises numbers of the shape \(40, 4\), which take 1\.9 KiB .* 1000 bytes of memory"
    )
    with pytest.raises(InputError, match=message):
        load(path)


def test_an_hdf5_file_that_promises_what_it_does_not_hold(tmp_path: Path) -> None:
    import h5py

    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", shape=(10**7, 10**6), dtype="f8", chunks=(1000, 1000))
    assert path.stat().st_size < 2**20
    with pytest.raises(InputError, match=r"promises numbers of the shape \(10000000, 1000000\)"):
        load(path)


def test_a_sheet_that_inflates_beyond_reason(tmp_path: Path) -> None:
    path = tmp_path / "x.xlsx"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("xl/worksheets/sheet1.xml", "w") as file,
    ):
        for _ in range(300):
            file.write(b" " * 2**20)
    with pytest.raises(InputError, match=r"'xl/worksheets/sheet1\.xml' inflates from"):
        load(path)


def test_a_limit_of_the_process_counts(monkeypatch) -> None:
    resource = pytest.importorskip("resource")
    there = _memory.available()
    monkeypatch.setattr(resource, "getrlimit", lambda _: (2**60, 2**60))
    assert _memory.available() == pytest.approx(there, rel=0.2)
    pages = int(Path("/proc/self/statm").read_text().split()[0]) * 4096
    monkeypatch.setattr(resource, "getrlimit", lambda _: (pages + 2**20, -1))
    assert 0 <= _memory.available() <= 2**20


def picture_bomb(path: Path, side: int) -> None:
    """A PNG of zeros, one bit a pixel."""

    def part(kind: bytes, content: bytes) -> bytes:
        end = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", end)

    rows = zlib.compress(bytes((side // 8 + 1) * 100))
    about = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + part(b"IHDR", about) + part(b"IDAT", rows) + part(b"IEND", b"")
    )


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("side", [10_000, 50_000])
def test_picture_bombs_are_named(tmp_path: Path, side: int) -> None:
    picture_bomb(tmp_path / "bomb.png", side)
    with pytest.raises(InputError, match=r"bomb\.png is larger than Pillow takes for safe"):
        load(tmp_path)


def test_pictures_beyond_memory_are_refused_after_the_first(tmp_path: Path, monkeypatch) -> None:
    for k in range(5):
        Image.fromarray(np.full((8, 8), k, np.uint8)).save(tmp_path / f"{k}.png")
    assert load(tmp_path).x.shape == (5, 1, 8, 8)
    little(monkeypatch)
    with pytest.raises(InputError, match=r"promises numbers of the shape \(5, 8, 8\)"):
        load(tmp_path)


def test_a_png_that_is_cut_or_damaged_is_never_loaded_short(tmp_path: Path, monkeypatch) -> None:
    # As a program around this one may have set it.
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    path = tmp_path / "x.png"
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    whole = path.read_bytes()
    assert load(tmp_path).x.shape == (1, 1, 40, 40)
    for size in range(8, len(whole), 37):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"x\.png cannot be read as a picture"):
            load(tmp_path)
    for at in range(8, len(whole), 37):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(InputError, match=r"x\.png (cannot be read as|is larger than)"):
            load(tmp_path)
    assert ImageFile.LOAD_TRUNCATED_IMAGES


def test_a_jpeg_that_is_cut_is_never_loaded_short(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    path = tmp_path / "x.jpg"
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(InputError, match=r"x\.jpg cannot be read as a picture"):
        load(tmp_path)
