"""Files of known content: from a folder that has them, or downloaded once into a cache."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from pushforward.errors import InputError

__all__ = ["Known", "cache_folder", "obtain"]

_PATIENCE = 30.0  # seconds without an answer


@dataclass(frozen=True)
class Known:
    """A file whose content is known by its checksum.

    Args:
        name: what it is called, without `.gz`.
        size: how many bytes its content has.
        sha256: of the content, not of the compressed file: however it was compressed, the content
            is the same.
        urls: where it can be downloaded, compressed by gzip; tried in this order.

    >>> Known("letters", 3, hashlib.sha256(b"abc").hexdigest(), ()).check(b"abc", "memory")
    """

    name: str
    size: int
    sha256: str
    urls: tuple[str, ...]

    def check(self, content: bytes, source: str) -> None:
        """Raise `InputError`, naming the source, if `content` is not that of this file."""
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256:
            raise InputError(
                f"{source} is damaged or another file: its content has the sha256 {found[:16]}..., "
                f"not {self.sha256[:16]}..."
            )


def cache_folder() -> Path:
    """Where downloads are kept: `$PUSHFORWARD_CACHE`, or `~/.cache/pushforward`.

    >>> cache_folder().is_absolute()
    True
    """
    chosen = os.environ.get("PUSHFORWARD_CACHE") or "~/.cache/pushforward"
    return Path(chosen).expanduser().absolute()


def obtain(file: Known, cache: Path, others: Sequence[Path] = (), hint: str = "") -> bytes:
    """The content of a known file, decompressed and checked.

    It is looked for in the folders `others`, then in `cache`, as it is or compressed with `.gz` at
    its end; if none has it, it is downloaded into `cache`, where it appears at once, never half
    written.

    Raises `InputError` for a file that has another content, naming it; and, if the file is nowhere
    and cannot be downloaded, naming the addresses and what went wrong at each, the folder to put
    it in, and `hint`, another way to get it.
    """
    for folder in (*others, cache):
        for path in (folder / file.name, folder / f"{file.name}.gz"):
            if path.is_file():
                return _read(path, file)
    faults = []
    for url in file.urls:
        try:
            packed = _download(url, file.size)
        except (OSError, HTTPException) as error:
            faults.append(f"{url} cannot be reached ({getattr(error, 'reason', error)})")
            continue
        try:
            content = _unpacked(packed, url, file.size)
            file.check(content, url)
        except InputError as error:
            # Networks that want a password first answer every address with a page of their own.
            faults.append(str(error))
            continue
        _keep(packed, cache / f"{file.name}.gz")
        return content
    raise InputError(
        f"{file.name} is not on this machine, and could not be downloaded: {'; '.join(faults)}. "
        f"Put it, or {file.name}.gz, into {cache}{hint}"
    )


def _read(path: Path, file: Known) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    if path.suffix == ".gz":
        content = _unpacked(content, str(path), file.size)
    try:
        file.check(content, str(path))
    except InputError as error:
        raise InputError(f"{error}: remove it, and it is downloaded again") from None
    return content


def _download(url: str, size: int) -> bytes:
    import urllib.request  # with all of its encryption: only where it is needed

    with urllib.request.urlopen(url, timeout=_PATIENCE) as answer:
        # gzip makes nothing larger by more than this; what goes on longer is not the file.
        return answer.read(size + size // 1000 + 4096)


def _unpacked(packed: bytes, source: str, size: int) -> bytes:
    """What gzip packed, at most one byte more than there should be."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
            return file.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{source} is damaged or was not packed by gzip ({error})") from None


def _keep(content: bytes, path: Path) -> None:
    """Write a file that appears at once; of two processes that do so, either may be the last."""
    partial = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=path.name, suffix=".partial", delete=False
        ) as file:
            partial = Path(file.name)
            file.write(content)
        os.replace(partial, path)
    except OSError as error:
        if partial is not None:
            partial.unlink(missing_ok=True)
        raise InputError(
            f"{path} cannot be written ({error.strerror}): name another folder in PUSHFORWARD_CACHE"
        ) from None
