"""Progress of long work: a bar on a terminal or in a notebook, now and then a line elsewhere.

Terminals and lines are on stderr. A notebook is a kernel of IPython: there the bar is a cell's own
output, which is put in the place of the one before.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from html import escape
from types import TracebackType
from typing import Any

__all__ = ["Progress", "in_notebook"]


def in_notebook() -> bool:
    """Whether Python runs as a kernel, whose front end shows HTML: in Jupyter, Colab and the like.

    >>> in_notebook()
    False
    """
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    # A shell in a terminal has none.
    return getattr(shell, "kernel", None) is not None


@dataclass(frozen=True)
class _Html:
    """What a front end shows."""

    html: str
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text


class Progress:
    """A context that shows how far some work is.

    Args:
        title: what is being done.
        total: the number of steps; `None` where nobody knows it before.
        done: steps finished before, for resumed work.
        show: nothing is printed if false.
    """

    def __init__(self, title: str, total: int | None, *, done: int = 0, show: bool = True) -> None:
        self.title, self.total, self.done, self.show = title, total, done, show
        self._bar: Any = None
        self._task: Any = None
        self._cell: Any = None
        self._last_line, self._told = 0.0, False
        self._ended: int | None = None
        self._start = time.monotonic()
        self._first = done

    def __enter__(self) -> Progress:
        if self.show and in_notebook():
            from IPython.display import display

            self._cell = display(self._html(""), display_id=True)
        elif self.show and sys.stderr.isatty():
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
        if self._cell is not None:
            now = time.monotonic()
            if now - self._last_line > 0.2 or self._ends(done):
                self._last_line = now
                self._cell.update(self._html(note))
            return
        if self._bar is not None:
            # One redraw per step would cost more than a small step.
            now = time.monotonic()
            if now - self._last_line > 0.1 or self._ends(done):
                self._last_line = now
                self._bar.update(self._task, completed=done, total=self.total, note=note)
            return
        now = time.monotonic()
        # The first line soon: how long it will take is best known before it is waited for.
        ends = self._ends(done)
        if ends and done == self._ended:
            # Told already, by the part of the work that came last.
            return
        if now - self._last_line > (10 if self._told else 1) or ends:
            self._told = True
            self._ended = done if ends else None
            self._last_line = now
            print(f"{self.title}: {self._line(note)}", file=sys.stderr, flush=True)

    def _ends(self, done: int) -> bool:
        return self.total is not None and done >= self.total

    def _line(self, note: str) -> str:
        """Steps, seconds and, where that is known, what is left of them."""
        past = time.monotonic() - self._start
        if self.total is None:
            return f"{self.done}, {past:.0f} s  {note}".rstrip()
        rate = (self.done - self._first) / max(past, 1e-9)
        # Before the first step is done nobody knows.
        left = f", {(self.total - self.done) / rate:.0f} s left" if rate > 0 else ""
        return f"{self.done}/{self.total}, {past:.0f} s{left}  {note}".rstrip()

    def _html(self, note: str) -> _Html:
        """The bar of a notebook, in words where a page is shown without HTML."""
        if self.total is None:
            # A bar without a value only moves.
            words, inside = self._line(note), ""
        else:
            words = self._line(note) if self.done > self._first else f"{self.done}/{self.total}"
            inside = f" value='{self.done}' max='{max(1, self.total)}'"
        bar = f"<progress{inside}></progress>"
        return _Html(f"{escape(self.title)} {bar} {escape(words)}", f"{self.title}: {words}")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
