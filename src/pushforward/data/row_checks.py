"""Checks of the rows of a data set: how many, how often repeated, how labeled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pushforward.data.dataset import Data
from pushforward.data.finding import Finding, listed

__all__ = ["classes", "dropped", "few_rows", "leak", "non_finite", "repeated"]

Rows = NDArray[np.floating[Any]]

ROWS_PER_NUMBER = 10
FEWEST_HELD_OUT = 50
FEWEST_IN_CLASS = 10
IMBALANCE = 10
FEWEST_FOR_DENSITY = 20


def non_finite(finite: NDArray[np.bool_]) -> Iterator[Finding]:
    """Rows with NaN or infinite values, `finite` being `(N,)`."""
    bad = int((~finite).sum())
    if bad:
        yield Finding(
            "error",
            "Values that are not finite",
            f"{bad} of {len(finite)} rows hold NaN or infinite values, the first is row "
            f"{int(np.argmin(finite))} (counting from 0).",
            "Fill them in, or load with drop_nonfinite=True.",
        )


def dropped(data: Data) -> Iterator[Finding]:
    """Rows that loading left out."""
    if data.dropped:
        total = len(data) + data.dropped
        share = data.dropped / total
        yield Finding(
            "warning" if share > 0.05 else "info",
            "Rows were left out",
            f"{data.dropped} of {total} rows ({share:.1%}) had missing or non-finite values.",
            "If values are missing for a reason, the remaining rows have another distribution.",
        )


def few_rows(data: Data, n: int, holdout: float) -> Iterator[Finding]:
    """Fewer rows than a distribution of this dimension, or a judgment of it, needs."""
    numbers = int(np.prod(data.event_shape))
    # The covariance of fewer rows than numbers is flat; pixels hang together.
    if n < FEWEST_FOR_DENSITY or (data.kind != "image" and n < numbers + 2):
        yield Finding(
            "warning",
            "Too few rows for a density",
            f"{n} rows of {numbers} numbers each, of which {round(holdout * n) or 1} would be held "
            "out.",
            "Log densities of such a model mean nothing, on the rows and away from them: collect "
            "more rows.",
        )
    elif n < ROWS_PER_NUMBER * numbers:
        yield Finding(
            "warning",
            "Few rows for their size",
            f"{n} rows of {numbers} numbers each: {n / numbers:.1f} rows per number.",
            "Expect the model to memorize rows: stop early, watch the held-out loss and the "
            "distance from samples to training rows, or reduce the dimension.",
        )
    held = round(holdout * n)
    if held < FEWEST_HELD_OUT:
        yield Finding(
            "warning",
            "Few rows to judge by",
            f"Holding out {holdout:.0%} of {n} rows leaves {held} to measure on.",
            "Measured qualities will have wide errors: hold out more, or collect more.",
        )


def repeated(rows: Rows, holdout: float) -> Iterator[Finding]:
    """Exact repeats, and how many held-out rows would have a twin in training."""
    n = len(rows)
    times = np.array(list(Counter(_keys(rows)).values()))
    extra = n - len(times)
    if not extra:
        return
    # A row in m copies, held out, lacks a twin only if the other m - 1 are held out too.
    twins = float((times * (1 - holdout ** (times - 1.0))).sum()) / n
    yield Finding(
        "warning" if extra / n > 0.01 else "info",
        "Repeated rows",
        f"{extra} of {n} rows ({extra / n:.1%}) repeat an earlier row exactly; the commonest "
        f"occurs {int(times.max())} times. In a random split, {twins:.1%} of the held-out rows "
        "have a twin among the training rows.",
        "If they are copies, remove them, or a model that memorizes will look good; if the "
        "data is discrete, repeats are natural.",
    )


def leak(rows: Rows, test: Data | None) -> Iterator[Finding]:
    """Test rows that are training rows too."""
    if test is None:
        return
    known = set(_keys(rows))
    others = _keys(test.x.detach().cpu().flatten(1).numpy().astype(rows.dtype))
    shared = sum(key in known for key in others)
    if shared:
        yield Finding(
            "warning",
            "Test rows among the training rows",
            f"{shared} of {len(others)} test rows ({shared / len(others):.1%}) are also training "
            "rows.",
            "Remove them from one side: on these rows memory passes for skill.",
        )


def classes(data: Data) -> Iterator[Finding]:
    """Classes that are empty, rare, or alone."""
    if data.c is None or data.num_classes is None:
        return
    counts = torch.bincount(data.c, minlength=len(data.classes)).tolist()
    present = [count for count in counts if count]
    if len(present) == 1:
        yield Finding(
            "info",
            "One class only",
            f"Every label is {data.classes[int(data.c[0])]!r}.",
            "Labels bring nothing here: load with label=False.",
        )
        return
    named = [f"{name!r} ({count})" for name, count in zip(data.classes, counts, strict=True)]
    empty = [text for text, count in zip(named, counts, strict=True) if count == 0]
    rare = [text for text, count in zip(named, counts, strict=True) if 0 < count < FEWEST_IN_CLASS]
    if empty:
        yield Finding(
            "info",
            f"{len(empty)} of {len(counts)} classes have no rows",
            f"No label is {listed(empty)}.",
            "Nothing can be sampled from an empty class: leave it out of the classes.",
        )
    ratio = max(present) / min(present)
    if rare or ratio > IMBALANCE:
        largest = int(np.argmax(counts))
        smallest = counts.index(min(present))
        yield Finding(
            "warning",
            "Unbalanced classes",
            f"The rarest class is {named[smallest]}, the commonest {named[largest]}: "
            f"{ratio:.0f} times as many rows."
            + (f" Fewer than {FEWEST_IN_CLASS} rows: {listed(rare)}." if rare else ""),
            "Samples of rare classes will copy their few rows: collect more, or merge classes.",
        )


def _keys(rows: Rows) -> list[bytes]:
    """A digest per row; 0 and -0 count as equal."""
    rows = np.ascontiguousarray(rows + rows.dtype.type(0))
    return [blake2b(row.data, digest_size=16).digest() for row in rows]
