"""Fashion-MNIST in small: files of the same names and layout, behind addresses on this machine."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

from pushforward.data import fashion


def idx(array: np.ndarray) -> bytes:
    """The bytes of an IDX file of 8-bit numbers."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that downloads come from; the cache and the folder of the system are empty."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    files = {}
    random = np.random.default_rng(0)
    for part, n in (("train", 40), ("t10k", 20)):
        pictures = random.integers(256, size=(n, 28, 28), dtype=np.uint8)
        for name, array in (
            (f"{part}-images-idx3-ubyte", pictures),
            (f"{part}-labels-idx1-ubyte", np.arange(n, dtype=np.uint8) % 10),
        ):
            content = idx(array)
            files[name] = (len(content), hashlib.sha256(content).hexdigest())
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
    monkeypatch.setattr(fashion, "FILES", files)
    monkeypatch.setattr(fashion, "SYSTEM", tmp_path / "system")
    monkeypatch.setattr(fashion, "MIRRORS", (f"{folder.as_uri()}/",))
    monkeypatch.setenv("PUSHFORWARD_CACHE", str(tmp_path / "cache"))
    return folder
