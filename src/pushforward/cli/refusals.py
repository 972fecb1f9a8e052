"""When the system refuses: no room, no right, no memory, nobody who reads what is printed."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import sys
from collections.abc import Iterator
from typing import Any

import typer

from pushforward import _memory
from pushforward.errors import InputError

__all__ = ["Commands", "forgiving_streams", "require_memory", "told"]

_CURES = {
    errno.ENOSPC: "make room, or write elsewhere",
    errno.EDQUOT: "make room, or write elsewhere",
    errno.EFBIG: "files may not be that large here (ulimit -f): write elsewhere",
    errno.EROFS: "write elsewhere",
    errno.EACCES: "look at its permissions, or choose another place",
    errno.EPERM: "look at its permissions, or choose another place",
    errno.EISDIR: "give the name of a file",
    errno.ENOTDIR: "a part of its path is a file",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EMFILE: "too many files are open (ulimit -n)",
}
_ASKED = re.compile(r"allocate ([0-9]+ bytes|[0-9.]+ ?[KMGT]i?B)")


class Commands(typer.core.TyperGroup):
    """The commands, which end quietly when the reader of what they print has left."""

    def invoke(self, context: Any) -> Any:
        """Run a command; 141, as of a program that the signal ended, if its reader has left."""
        try:
            found = super().invoke(context)
            sys.stdout.flush()
            return found
        except BrokenPipeError:
            # Else Python would try once more at its end, and complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(141) from None


def told(error: Exception) -> str | None:
    """What to say of an error of the system or of memory; `None` for any other.

    >>> told(OSError(errno.ENOSPC, "No space left on device", "x.npz"))
    'x.npz: No space left on device: make room, or write elsewhere'
    >>> told(KeyError("x"))
    """
    if isinstance(error, OSError) and error.errno is not None:
        reason = error.strerror or str(error)
        place = error.filename if error.filename is not None else "standard output or a file"
        cure = _CURES.get(error.errno)
        return f"{place}: {reason}" + (f": {cure}" if cure else "")
    from pushforward.models.row_memory import is_out_of_memory

    if is_out_of_memory(error):
        asked = _ASKED.search(str(error))
        much = f" when {asked.group(1)} more were asked for" if asked else ""
        # What was measured, where it was known what took it.
        measured = "".join(f"{note}; " for note in getattr(error, "__notes__", ()))
        return (
            f"out of memory{much}: {measured}give a smaller --batch-size, fewer states (-n) or a "
            "smaller model; how much is needed grows in proportion to them"
        )
    return None


def require_memory(n: int, event_numel: int) -> None:
    """Raise `InputError` for more states than the memory of this machine holds.

    >>> require_memory(10**12, 2)
    Traceback (most recent call last):
    ...
    pushforward.errors.InputError: 1000000000000 states of 2 numbers take 7,451 GiB, ...
    """
    needed, there = 4 * n * event_numel, _memory.available()
    if there is not None and needed > there:
        most = there // (4 * event_numel)
        raise InputError(
            f"{n} states of {event_numel} numbers take {needed / 2**30:,.0f} GiB, and this "
            f"machine has {there / 2**30:,.1f} GiB free: it holds {most:,} at most (-n)"
        )


@contextlib.contextmanager
def forgiving_streams() -> Iterator[None]:
    """Let the work go on if standard error is closed, full or read by nobody.

    What is printed there is lost then; what goes to standard output and to files is not.
    """
    before = sys.stdout, sys.stderr
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    elif isinstance(sys.stderr, io.TextIOWrapper) and sys.stderr is sys.__stderr__:
        raw = io.BufferedWriter(_Forgiving(sys.stderr.fileno(), "w", closefd=False))
        sys.stderr = io.TextIOWrapper(
            raw, encoding=sys.stderr.encoding, errors="backslashreplace", line_buffering=True
        )
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


class _Forgiving(io.FileIO):
    """A file that takes everything."""

    def write(self, data: Any) -> int:
        """Write what can be written; the rest is lost."""
        with contextlib.suppress(OSError):
            return super().write(data)
        return len(data)
