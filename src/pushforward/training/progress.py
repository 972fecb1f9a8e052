"""Progress of long work: a bar on a terminal, now and then a line elsewhere; always on stderr."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

__all__ = ["Progress"]


class Progress:
    """A context that shows how far some work is.

    Args:
        title: what is being done.
        total: the number of steps.
        done: steps finished before, for resumed work.
        show: nothing is printed if false.
    """

    def __init__(self, title: str, total: int, *, done: int = 0, show: bool = True) -> None:
        self.title, self.total, self.done, self.show = title, total, done, show
        self._bar: Any = None
        self._task: Any = None
        self._last_line = 0.0
        self._start = time.monotonic()
        self._first = done

    def __enter__(self) -> Progress:
        if self.show and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                TextColumn,
                TimeElapsedColumn,
                TimeRemainingColumn,
            )
            from rich.progress import (
                Progress as Bar,
            )

            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
                console=Console(stderr=True),
            )
            self._bar.start()
            self._task = self._bar.add_task(
                self.title, total=self.total, completed=self.done, note=""
            )
        self._last_line = time.monotonic()
        return self

    def __call__(self, done: int, total: int | None = None, note: str = "") -> None:
        """Say that `done` steps are finished."""
        self.done = done
        if total is not None:
            self.total = total
        if not self.show:
            return
        if self._bar is not None:
            # One redraw per step would cost more than a small step.
            now = time.monotonic()
            if now - self._last_line > 0.1 or done >= self.total:
                self._last_line = now
                self._bar.update(self._task, completed=done, total=self.total, note=note)
            return
        now = time.monotonic()
        if now - self._last_line > 10 or done >= self.total:
            self._last_line = now
            rate = (done - self._first) / max(now - self._start, 1e-9)
            left = (self.total - done) / rate if rate > 0 else float("inf")
            line = f"{self.title}: {done}/{self.total}, {now - self._start:.0f} s"
            print(f"{line}, {left:.0f} s left  {note}".rstrip(), file=sys.stderr, flush=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
