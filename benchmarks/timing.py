"""Fair timings on a machine that does other things too: one thread, interleaved, medians.

Cases are run in turns, so that a slow minute of the machine falls on all of them alike, and what is
reported is a ratio to a reference of the same turn.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch

__all__ = ["Ratio", "one_thread", "ratios", "worked"]


class Ratio(NamedTuple):
    """The median of a ratio over turns, with its quartiles."""

    median: float
    low: float
    high: float

    def text(self) -> str:
        """The median, with the quartiles in brackets."""
        return f"{self.median:.2f} ({self.low:.2f}–{self.high:.2f})"


def one_thread() -> None:
    """Pin torch to one thread: with more, small kernels wait for each other."""
    torch.set_num_threads(1)


def worked(run: Callable[[], object]) -> Callable[[], float]:
    """A run as a case: calling it returns the seconds of the processor that it took.

    Threads of its own count, other programs do not.
    """

    def case() -> float:
        start = time.process_time()
        run()
        return time.process_time() - start

    return case


def ratios(
    cases: Mapping[str, Callable[[], float]], reference: str, turns: int
) -> tuple[dict[str, Ratio], float]:
    """The time of each case over that of the reference, and the reference's median in seconds.

    A case returns its own seconds. Each runs once uncounted; then all run in turns, and each is
    compared with the mean of the reference before and after it.
    """
    for case in cases.values():
        case()
    found: dict[str, list[float]] = {name: [] for name in cases if name != reference}
    base = []
    gc.disable()
    try:
        for _ in range(turns):
            before = cases[reference]()
            base.append(before)
            for name, values in found.items():
                spent = cases[name]()
                after = cases[reference]()
                values.append(2 * spent / (before + after))
                base.append(after)
                before = after
    finally:
        gc.enable()
    return {name: _quartiles(values) for name, values in found.items()}, statistics.median(base)


def _quartiles(values: list[float]) -> Ratio:
    if len(values) < 2:
        return Ratio(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Ratio(median, low, high)
