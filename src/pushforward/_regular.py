"""Files as opposed to what only looks like one: pipes, sockets and devices."""

from __future__ import annotations

import stat
from pathlib import Path

from pushforward.errors import InputError

__all__ = ["require_file"]

_OF_A_SHELL = ("/dev/fd/", "/dev/stdin", "/proc/self/fd/")


def require_file(path: Path) -> None:
    """Raise `InputError` for a pipe, a socket or a device, which give bytes without end or none.

    What is missing and folders are left to the reader, and so are the pipes of a shell, as in
    `--recipe <(...)`.

    >>> import os
    >>> require_file(Path("missing"))
    >>> require_file(Path(os.devnull))
    Traceback (most recent call last):
    ...
    pushforward.errors.InputError: ... is a pipe or a device, not a file
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode) or str(path).startswith(_OF_A_SHELL):
        return
    raise InputError(f"{path} is a pipe or a device, not a file")
