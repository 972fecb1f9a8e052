"""Checks for values that repeat: levels, whole numbers, and points of positive mass."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pushforward.data.dataset import Data
from pushforward.data.features import Features
from pushforward.data.finding import Finding, listed

__all__ = ["check", "levels"]

Array = NDArray[np.float64]

MOST_VALUES = 20
MOST_LEVELS = 1024
LABEL_NAMES = frozenset({"label", "labels", "class", "target", "species", "y", "category"})


def check(data: Data, f: Features) -> Iterator[Finding]:
    """All that can be said about values that repeat, or that suspiciously do not."""
    if data.levels is not None:
        return
    found = list(levels(data, f))
    yield from found
    if not found:
        yield from _repeated_values(data, f)


def levels(data: Data, f: Features) -> Iterator[Finding]:
    """Values that all lie on few equally spaced levels, which nobody has said."""
    grid = None if data.levels is not None else _grid(f.some)
    if grid is None:
        return
    number, low, high = grid
    yield Finding(
        "warning",
        "Discrete values",
        f"All values lie on {number} equally spaced levels from {low:g} to {high:g}.",
        f"A density can grow without bound on such values: load with levels={number}, "
        f"value_range=({low:g}, {high:g}) so that likelihoods allow for it and samples are rounded "
        "to the nearest level.",
    )


def _grid(some: Array) -> tuple[int, float, float] | None:
    """`(levels, low, high)` if all values lie on few equally spaced levels, each used often."""
    if len(np.unique(some.ravel()[:100_000])) > MOST_LEVELS:
        return None
    values = np.unique(some)
    if not 2 <= len(values) <= min(MOST_LEVELS, some.size // 20):
        return None
    steps = (values - values[0]) / np.diff(values).min()
    number = round(float(steps[-1])) + 1
    if number > 4 * MOST_LEVELS or np.abs(steps - np.round(steps)).max() > 1e-2:
        return None
    return number, float(values[0]), float(values[-1])


def _whole(f: Features, i: int) -> bool:
    """Whether a feature has whole numbers alone, in a precision that could tell."""
    # Every large number is whole in the precision of the rows.
    largest = max(abs(float(f.low[i])), abs(float(f.high[i])))
    if largest * np.finfo(f.rows.dtype).eps >= 0.5:
        return False
    return bool((f.some[:, i] == np.round(f.some[:, i])).all())


def _repeated_values(data: Data, f: Features) -> Iterator[Finding]:
    """Features of few values, of whole numbers, or with one value that has a positive share."""
    n = len(f.some)
    few, whole, atoms, named = [], [], [], []
    for i in f.varying:
        values, counts = np.unique(f.some[:, i], return_counts=True)
        top = int(np.argmax(counts))
        if len(values) <= min(MOST_VALUES, n // 10):
            few.append(f"{f.names[i]} ({max(len(values), 2)} values)")
            if data.columns and data.columns[i].strip().lower() in LABEL_NAMES:
                named.append(data.columns[i])
        elif len(values) <= n // 2 and _whole(f, i):
            whole.append(f"{f.names[i]} ({f.low[i]:.0f} to {f.high[i]:.0f})")
        elif n >= 10 * MOST_VALUES and counts[top] > 0.1 * n:
            atoms.append(f"{f.names[i]} is {values[top]:g} in {counts[top] / n:.0%} of the rows")
    if named:
        yield Finding(
            "info",
            "A feature that may be a label",
            f"Column {named[0]!r} is read as a number to be generated.",
            f"If it names classes, load with label={named[0]!r}.",
        )
    between = (
        "Samples of a model fall between these values, and are rounded to the nearest one when "
        "they are written or judged, so that the share of each is only roughly right; log "
        "densities are those before rounding: they"
    )
    if few:
        yield Finding(
            "warning",
            "Features of few values",
            f"{len(few)} of {f.rows.shape[1]}: {listed(few)}.",
            f"{between} grow without bound on such values, and are no probabilities. Make one the "
            "label, or leave them out.",
        )
    if whole:
        yield Finding(
            "warning",
            "Features of whole values",
            f"{len(whole)} of {f.rows.shape[1]}: {listed(whole)}.",
            f"{between} are no probabilities of these numbers, and not to be compared with those "
            "of models of counts.",
        )
    if atoms:
        yield Finding(
            "warning",
            "One value occurs very often",
            f"{listed(atoms)}.",
            "A density has no point masses: model such a value apart, or expect it to be blurred.",
        )
