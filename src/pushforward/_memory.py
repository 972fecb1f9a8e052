"""How much memory there is for what is about to be asked for."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["available", "in_words"]

_GROUP = Path("/sys/fs/cgroup")


def available() -> int | None:
    """The bytes that this process can still ask for; `None` where the system does not say.

    The least of what the system can free, what is left of the limit of a container, and what is
    left of the limit of the process (`ulimit -v`).

    >>> available() != 0
    True
    """
    limits = list(_limits())
    return max(0, min(limits)) if limits else None


def in_words(size: float) -> str:
    """A number of bytes as people read it.

    >>> in_words(512), in_words(6 * 2**30)
    ('512 bytes', '6.0 GiB')
    """
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} GiB"


def _limits() -> Iterator[int]:
    with contextlib.suppress(OSError, ValueError, StopIteration, IndexError):
        # What can be freed: files that are kept in memory count as well.
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        yield 1024 * int(next(line for line in lines if "MemAvailable" in line).split()[1])
    with contextlib.suppress(AttributeError, OSError, ValueError):
        yield os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):
        # "max", which is no number, where there is no limit.
        most = int((_GROUP / "memory.max").read_text(encoding="ascii"))
        yield most - int((_GROUP / "memory.current").read_text(encoding="ascii"))
    if sys.platform != "win32":
        import resource

        most, _ = resource.getrlimit(resource.RLIMIT_AS)
        if most != resource.RLIM_INFINITY:
            with contextlib.suppress(OSError, ValueError):
                pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
                yield most - pages * os.sysconf("SC_PAGE_SIZE")
