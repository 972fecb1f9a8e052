"""Ctrl-C and SIGTERM end a run after the step under way instead of in the middle of it."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

__all__ = ["Interrupted", "Interrupts"]


class Interrupted(Exception):
    """A signal came while a model prepared a step, which is to be as if it had never begun."""


class Interrupts:
    """A context in which the first signal sets `requested` and a second one acts as usual.

    Handlers exist in the main thread only; elsewhere nothing changes. The former handlers are back
    after the first signal, and at the end.
    """

    _SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._before = {s: signal.signal(s, self._handle) for s in self._SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            # A handler that was not set from Python shows as None and cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before = {}
