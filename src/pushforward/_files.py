"""Files that are replaced as wholes: whoever reads one finds the old or the new, never a part."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pushforward._memory import in_words
from pushforward._regular import require_file
from pushforward.errors import InputError

__all__ = [
    "check_writable",
    "checksum",
    "new_folder",
    "replacing",
    "require_space",
    "sync",
    "write_bytes",
    "write_text",
]

_BLOCK = 1 << 20


def check_writable(path: Path) -> None:
    """Raise `InputError` for a path that no file or folder can take, before the work for it begins.

    It is tried: a file is made where this one will be made, and removed. Folders on the way may be
    missing.

    >>> check_writable(Path("no-folder/x.npz"))
    >>> check_writable(Path("setup/" + "x" * 300))
    Traceback (most recent call last):
    ...
    pushforward.errors.InputError: ...: File name too long
    """
    try:
        if os.path.lexists(path) and not (path.is_file() or path.is_dir()):
            # A device would be replaced by a file.
            raise InputError(f"{path} is neither a file nor a folder: choose another place")
        parent = next(p for p in path.absolute().parents if p.exists())
        partial = parent / f".{path.name}.{os.getpid()}.partial"
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT, 0o600))
        partial.unlink()
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from None


def require_space(path: Path, size: int) -> None:
    """Raise `InputError` if fewer bytes are free than a file at `path` will at least take.

    What lies there stays until the new file is whole, so its own bytes are not free.

    >>> require_space(Path("no-folder/x.npz"), 1)
    >>> require_space(Path("x.npz"), 2**80)
    Traceback (most recent call last):
    ...
    pushforward.errors.InputError: x.npz will take 1,125,899,906,842,624.0 GiB or more, and ...
    """
    parent = next(p for p in path.absolute().parents if p.exists())
    try:
        free = shutil.disk_usage(parent).free
    except OSError:
        # Some network file systems do not say: the write itself will.
        return
    if size > free:
        raise InputError(
            f"{path} will take {in_words(size)} or more, and {in_words(free)} are free there: "
            "make room, or write elsewhere"
        )


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to, which takes its place when all is written and on disk.

    If anything goes wrong it is removed, and what was at `path` stays.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.txt"
    ...     with replacing(path) as partial:
    ...         _ = partial.write_text("done")
    ...     path.read_text(), len(os.listdir(folder))
    ('done', 1)
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        sync(partial)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync(path.parent)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder beside `path` to write into, which takes its place when all is written.

    If anything goes wrong it is removed. A folder with something in it is not replaced, which
    raises `OSError`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "pictures"
    ...     with new_folder(path) as partial:
    ...         _ = (partial / "a.txt").write_text("done")
    ...     os.listdir(path), os.listdir(folder)
    (['a.txt'], ['pictures'])
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.mkdir()
    try:
        yield partial
        if path.is_dir():
            path.rmdir()
        os.replace(partial, path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    sync(path.parent)


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file."""
    with replacing(path) as partial:
        partial.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Replace a text file, as UTF-8, with the same bytes on every system."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def sync(path: Path) -> None:
    """Force a file or folder to disk, so that a rename never outruns its contents."""
    # Windows cannot open a folder, and orders renames by itself.
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def checksum(path: Path) -> str:
    """The sha256 of a file's bytes, in hexadecimal."""
    require_file(path)
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
