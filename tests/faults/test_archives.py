"""Archives that were forged: a right checksum does not make a file honest."""

from __future__ import annotations

import json
import shutil
import struct
import time
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.cli import main
from pushforward.compression import compress, decompress
from pushforward.compression.container import Archive
from pushforward.errors import InputError

DATA = pf.data.Data(
    torch.randint(0, 4, (30, 1, 4, 4), generator=torch.Generator().manual_seed(0)).float(),
    levels=4,
    value_range=(0.0, 3.0),
)


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(0)
    return pf.VAE.for_data(DATA, decoder="logistic", latent=3, width=8).eval()


@pytest.fixture(scope="module")
def honest(model: Any) -> Archive:
    return compress(model, DATA.x, [f"a/{k}.png" for k in range(30)])


def _file(honest: Archive, names: bytes, *, count: int = 30, length: int | None = None,
          words: bytes | None = None) -> bytes:  # fmt: skip
    """A file with any parts, whose checksum is right."""
    words = honest.words.astype("<u4").tobytes() if words is None else words
    length = len(names) if length is None else length
    rest = struct.pack("<8sIII", honest.fingerprint, count, honest.checksum, length) + names + words
    return b"PFC1" + struct.pack("<I", zlib.crc32(rest)) + rest


def _deflated(names: Any) -> bytes:
    return zlib.compress(json.dumps(names).encode())


NAMES = [f"{k}.png" for k in range(29)]
FORGED: dict[str, Any] = {
    "no states": lambda a: _file(a, b"", count=0),
    "no words": lambda a: _file(a, b"", words=b""),
    "half a word": lambda a: _file(a, b"", words=bytes(6)),
    "names that are longer than the file": lambda a: _file(a, b"", length=1 << 31),
    "names that are not deflated": lambda a: _file(a, b"names"),
    "names cut off": lambda a: _file(a, _deflated(NAMES)[:-6]),
    "something behind the names": lambda a: _file(a, _deflated([*NAMES, "x.png"]) + b"xx"),
    "names that are not JSON": lambda a: _file(a, zlib.compress(b"[1, ")),
    "names that are not text": lambda a: _file(a, zlib.compress(b"\xff\xfe")),
    "names without end": lambda a: _file(a, zlib.compress(b"[" * 5_000)),
    "no list": lambda a: _file(a, _deflated({"a": 1})),
    "numbers": lambda a: _file(a, _deflated(list(range(30)))),
    "too few names": lambda a: _file(a, _deflated(NAMES)),
    "too many names": lambda a: _file(a, _deflated([*NAMES, "x.png", "y.png"])),
    "a bomb": lambda a: _file(a, zlib.compress(b'["' + b"a" * (1 << 28) + b'"]', 9)),
} | {
    f"the name {name!r}": lambda a, name=name: _file(a, _deflated([*NAMES, name]))
    for name in (
        *("../x.png", "/x.png", "a/../x.png", "..\\x.png", "c:x.png", "", ".", "a//b.png", "./a"),
        *("x.exe", "x", ".bashrc", "x.png\0.sh", "x\n.png", "\u202egnp.png", "x" * 2000 + ".png"),
        *("0.png", "0.png/x.png"),
    )
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_archive_is_refused_when_it_is_read(honest: Archive, name: str) -> None:
    data = FORGED[name](honest)
    start = time.monotonic()
    with pytest.raises(InputError):
        Archive.from_bytes(data, "x.pf")
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("count", [1, 29, 31, 2**32 - 1])
def test_a_count_that_the_code_does_not_hold(model: Any, honest: Archive, count: int) -> None:
    forged = Archive.from_bytes(_file(honest, b"", count=count), "x.pf")
    start = time.monotonic()
    with pytest.raises(InputError, match=r"forged|does not end as it began"):
        decompress(model, forged)
    assert time.monotonic() - start < 60


def test_words_that_are_no_code(model: Any, honest: Archive) -> None:
    generator = np.random.default_rng(0)
    for k in range(60):
        words = honest.words.copy()
        match k % 6:
            case 0:
                words[0] = generator.integers(0, 2**32)
            case 1:
                words = words[: generator.integers(1, len(words))]
            case 2:
                words[generator.integers(1, len(words))] ^= np.uint32(1 << generator.integers(32))
            case 3:
                words = generator.integers(0, 2**32, size=len(words), dtype=np.uint32)
            case 4:
                words = np.zeros(len(words), dtype=np.uint32)
            case _:
                words = np.concatenate([words, words])
        with pytest.raises(InputError):
            decompress(model, replace(honest, words=words))


def test_what_is_honest_comes_back(model: Any, honest: Archive, tmp_path: Path) -> None:
    found = decompress(model, Archive.from_bytes(honest.to_bytes(), "x.pf"))
    assert torch.equal(found.x, DATA.x)
    assert found.names == honest.names


def test_no_archive_is_made_that_would_be_refused(model: Any) -> None:
    with pytest.raises(InputError, match="leads out of the folder"):
        compress(model, DATA.x, [f"a\\{k}.png" for k in range(30)])


@pytest.mark.parametrize(("name", "size"), [("x.npz", "1.9 KiB"), ("x.csv", "960 bytes")])
def test_no_room_for_what_was_compressed_is_found_before_the_work(
    model: Any, honest: Archive, tmp_path: Path, capsys, monkeypatch, name: str, size: str
) -> None:
    monkeypatch.setattr("pushforward.compression.decompress", None)
    monkeypatch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(2**40, 2**40, 900))
    model.save(tmp_path / "vae")
    (tmp_path / "x.pf").write_bytes(honest.to_bytes())
    words = ["decompress", tmp_path / "vae", tmp_path / "x.pf", "-o", tmp_path / name]
    with pytest.raises(SystemExit) as end:
        main(["-q", *map(str, words)])
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert f"{name} will take {size} or more" in " ".join(told.split())
    assert not (tmp_path / name).exists()
