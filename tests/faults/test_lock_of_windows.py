"""The lock of a run folder as it is on Windows, with a stand-in for `msvcrt`.

What is tested is how the lock uses the system, not the system: another process is another open
file.
"""

from __future__ import annotations

import errno
import importlib.util
import os
import struct
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from pushforward.errors import InputError
from pushforward.training import lock as usual

fcntl = pytest.importorskip("fcntl")
pytestmark = pytest.mark.skipif(not hasattr(fcntl, "F_OFD_SETLK"), reason="a kind of lock of Linux")


class _Msvcrt(types.ModuleType):
    """Locks of single bytes, each held by an open file until it is closed."""

    LK_NBLCK = 2

    def __init__(self) -> None:
        super().__init__("msvcrt")

    def locking(self, descriptor: int, mode: int, size: int) -> None:
        assert (mode, size) == (self.LK_NBLCK, 1)
        place = os.lseek(descriptor, 0, os.SEEK_CUR)
        about = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, place, size, 0)
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, about)
        except BlockingIOError:
            raise PermissionError(errno.EACCES, "Permission denied") from None


@pytest.fixture
def windows(monkeypatch) -> Any:
    spec = importlib.util.spec_from_file_location("lock_of_windows", str(usual.__file__))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "msvcrt", _Msvcrt())
    with monkeypatch.context() as patch:
        patch.setattr(os, "name", "nt")
        spec.loader.exec_module(module)
    return module


def _keeps(monkeypatch) -> None:
    """Windows removes no file that is open."""

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EACCES, "in use", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)


def test_one_writer_on_windows(windows: Any, tmp_path: Path, monkeypatch) -> None:
    _keeps(monkeypatch)
    run = tmp_path / "run"
    with windows.Lock(run) as lock:
        assert lock.in_place()
        # The bytes that name the process are not those that are locked: others read them.
        assert (run / usual.LOCK).read_bytes().startswith(b'{"process": ')
        with (
            pytest.raises(InputError, match=rf"is being written by process {os.getpid()} on"),
            windows.Lock(run),
        ):
            pass
    assert (run / usual.LOCK).exists()
    with windows.Lock(run) as lock:
        assert lock.in_place()


def test_a_crash_lets_go_on_windows(windows: Any, tmp_path: Path, monkeypatch) -> None:
    _keeps(monkeypatch)
    crashed = windows.Lock(tmp_path).__enter__()
    # The system closes the files of a process that ends.
    crashed._file.close()
    with windows.Lock(tmp_path) as lock:
        assert lock.in_place()
        (tmp_path / usual.LOCK).rename(tmp_path / "elsewhere")
        assert not lock.in_place()
