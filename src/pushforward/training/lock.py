"""One writer of a folder: a lock that the system takes back when its process ends, however it does.

Whoever holds it also knows whether the folder is still where it was.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import warnings
from pathlib import Path
from typing import IO, Any

from pushforward.errors import InputError

__all__ = ["LOCK", "Lock"]

LOCK = ".lock"
"""Beside the files of a run while it is written to; left behind by a crash, it locks nothing."""


class Lock:
    """The right to write into a folder, which is made if it is missing.

    A context; raises `InputError` on entering if another process has the right, naming it, or if
    the folder cannot be written. A folder that was made and left empty is removed again.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Lock(Path(folder) / "run") as lock:
    ...         lock.in_place()
    ...     (Path(folder) / "run").exists()
    True
    False
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / LOCK
        self._made: list[Path] = []
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Lock:
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError(f"{self.folder} is a file: give a folder for the run")
        missing = [p for p in (self.folder, *self.folder.parents) if not p.exists()]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._made = missing
            self._file = self._taken()
        except OSError as error:
            self._remove_what_was_made()
            raise InputError(
                f"{self.folder} cannot be written: {error.strerror or error}"
            ) from None
        return self

    def __exit__(self, *_: object) -> None:
        assert self._file is not None
        # Removed while it is held: whoever has opened this very file looks again. Windows removes
        # no open file: there it stays, and locks nothing.
        if self.in_place():
            with contextlib.suppress(OSError):
                self.path.unlink()
        self._file.close()
        self._file = None
        self._remove_what_was_made()

    def in_place(self) -> bool:
        """Whether the folder that was locked is still at its path."""
        assert self._file is not None
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self._file.fileno()))
        except OSError:
            return False

    def _taken(self) -> IO[bytes]:
        while True:
            # Not emptied: it may name the process that holds it.
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            file = os.fdopen(descriptor, "r+b", buffering=0)
            try:
                _lock(file)
            except BlockingIOError:
                holder = _holder(file)
                file.close()
                raise InputError(
                    f"{self.folder} is being written by {holder}: wait for it, or give another "
                    "folder"
                ) from None
            except OSError as error:
                # Some network file systems have no locks.
                warnings.warn(
                    f"{self.folder} cannot be locked ({error.strerror}): see that no other process "
                    "trains into it",
                    stacklevel=5,
                )
            # The former holder may have removed this file after it was opened here.
            try:
                current = os.path.samestat(os.stat(self.path), os.fstat(file.fileno()))
            except FileNotFoundError:
                current = False
            if current:
                file.truncate()
                who = {"process": os.getpid(), "host": socket.gethostname()}
                file.write(json.dumps(who).encode())
                return file
            file.close()

    def _remove_what_was_made(self) -> None:
        for folder in self._made:
            try:
                folder.rmdir()
            except OSError:
                break
        self._made = []


if os.name == "nt":
    import msvcrt

    _FAR = 1 << 30
    """Windows keeps others from reading the bytes that are locked: those are beyond the end."""

    def _lock(file: Any) -> None:
        file.seek(_FAR)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError as error:
            raise BlockingIOError(*error.args) from None
        finally:
            file.seek(0)
else:
    import fcntl

    def _lock(file: Any) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _holder(file: IO[bytes]) -> str:
    """The process that a lock file names."""
    try:
        found = json.loads(file.read(1000))
        return f"process {int(found['process'])} on {found['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
