"""Samples for a report, as many as a share of the time of the training pays for."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from pushforward import state
from pushforward.data import Data
from pushforward.models import GenerativeModel
from pushforward.report.judging import labels_like
from pushforward.training.progress import Progress

__all__ = ["Drawn", "draw", "seconds_for"]

_SHARE, _LEAST = 0.1, 10.0
"""Of the time of the training, and the seconds that a report may take however short that was."""

_FIRST = 1 << 16
"""Numbers that are drawn first, as 8 to 64 samples, which tell what one costs; never fewer."""

_GROWTH = 8


@dataclass(frozen=True)
class Drawn:
    """Samples of a model.

    Args:
        states: of at most `asked` samples.
        asked: how many a report would like.
        seconds: for one sample; 0 if that is not known.
        labels: of the samples, for a model that takes some.
    """

    states: Any
    asked: int
    seconds: float = 0.0
    labels: Any = None

    @property
    def note(self) -> str:
        """What a reader should know of their number; nothing if none are missing."""
        n = state.rows(self.states)
        if n >= self.asked:
            return ""
        return (
            f"{n} samples in the place of {self.asked:,}: one takes {self.seconds:.2g} s here, and "
            "a report takes a tenth of the time of the training. `pushforward evaluate` draws as "
            "many as you ask for."
        )


def seconds_for(training: float) -> float:
    """The seconds that drawing for a report may take after so many seconds of training."""
    return max(_LEAST, _SHARE * training)


def draw(
    model: GenerativeModel, data: Data, n: int, seconds: float, *, show: bool = False
) -> Drawn:
    """Up to `n` samples in about so many seconds, labeled as the data are, and the cost of one.

    A few are drawn first, which tell how many more there is time for. Those of a model whose
    `sample` takes `rows=` are the first of the `n` that it would draw at once.
    """
    labels = labels_like(model, data, n, seed=0)
    size = min(n, max(8, min(64, _FIRST // state.numel(data.event_shape))))
    parts: list[Any] = []
    done, start = 0, time.perf_counter()
    with Progress("drawing samples for the report", n, show=show) as progress:
        while size > 0:
            before = time.perf_counter()
            parts.append(_part(model, labels, n, slice(done, done + size)))
            done += size
            progress(done)
            now = time.perf_counter()
            # Many at once cost less each, so that this errs to the safe side.
            affordable = int((seconds - (now - start)) * size / max(now - before, 1e-9))
            size = min(n - done, _GROWTH * done, affordable)
        if done < n:
            progress(done, done)
    seconds_each = (time.perf_counter() - start) / done
    told = None if labels is None else state.take(labels, slice(done))
    return Drawn(state.concatenate(parts), n, seconds_each, told)


def _part(model: GenerativeModel, labels: Any, n: int, rows: slice) -> Any:
    """Rows of the `n` samples of a seed."""
    options = model.understood("sample", seed=0, rows=rows)
    if "rows" in options:
        return model.sample(n, labels, **options)
    # A model of its own kind: other samples, of a seed for each part.
    if "seed" in options:
        options["seed"] = rows.start
    size = rows.stop - rows.start
    return model.sample(size, None if labels is None else state.take(labels, rows), **options)
