"""Checks of the features of a data set: their range, values, tails and dependence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pushforward.data import discrete_checks
from pushforward.data.dataset import Data
from pushforward.data.features import Features, Rows, measure
from pushforward.data.finding import Finding, Level, listed
from pushforward.data.identifiers import without

__all__ = ["check"]

SPREADS = 20


def check(data: Data, rows: Rows) -> Iterator[Finding]:
    """All that can be said about the features, `rows` being the finite rows, `(N, D)`.

    Of very large data a random part serves for quartiles, repeated values and dependence; ranges
    and moments come from all of it.
    """
    features = measure(data, rows)
    if data.kind == "image":
        yield from _constant(
            features, "info", "Usual at the border of pictures; likelihoods count these pixels too."
        )
        yield from discrete_checks.levels(data, features)
        return
    yield from _constant(
        features,
        "warning",
        "Densities have no finite value along them, and "
        "likelihoods count these features too: leave them out.",
    )
    yield from _looks_like_images(data)
    yield from _counters(features, data.columns)
    yield from _offsets(features)
    yield from _scales(features, shared_scale=len(data.event_shape) == 3)
    yield from discrete_checks.check(data, features)
    yield from _outliers(features, data.columns)
    if data.schema.coordinates is None:
        # Shares that sum to one do so by their nature.
        yield from _dependent(features)


def _constant(f: Features, level: Level, advice: str) -> Iterator[Finding]:
    still = np.flatnonzero(f.low == f.high)
    if len(still) == 0:
        return
    shown = listed([f"{f.names[i]} = {f.low[i]:g}" for i in still])
    verb = "changes" if len(still) == 1 else "change"
    yield Finding(
        level,
        f"{len(still)} of {f.rows.shape[1]} features never {verb}",
        f"Constant: {shown}.",
        advice,
    )


def _looks_like_images(data: Data) -> Iterator[Finding]:
    shape = data.event_shape
    if len(shape) == 2 and shape[0] == shape[1] >= 8:
        yield Finding(
            "info",
            "Rows look like gray images",
            f"Each row has the shape {shape}, and is treated as a vector.",
            "If these are pictures, load with kind='image'.",
        )


def _counters(f: Features, columns: Sequence[str]) -> Iterator[Finding]:
    if len(f.rows) < 10:
        return
    counting, named = [], []
    for i in f.varying:
        steps = np.diff(f.rows[:, i].astype(np.float64))
        if np.abs(steps - steps[0]).max() <= 1e-3 * abs(steps[0]):
            counting.append(f"{f.names[i]} (step {steps[0]:.3g})")
            named += list(columns[i : i + 1])
    if counting:
        yield Finding(
            "warning",
            "A feature counts the rows",
            f"From each row to the next, the same step: {listed(counting)}.",
            f"This is a row number or a clock, not a random quantity: {without(columns, named)}.",
        )


def _offsets(f: Features) -> Iterator[Finding]:
    """A spread of few steps between numbers: that of float32 at `a` is about `2^-23 |a|`."""
    step = float(np.finfo(f.rows.dtype).eps) * np.abs(f.quartiles[1])
    coarse = [i for i in f.varying if f.std[i] < 2000 * step[i]]
    if coarse:
        shown = [
            f"{f.names[i]} has mean {f.mean[i]:.6g} and standard deviation {f.std[i]:.3g}, "
            f"in steps of {step[i]:.2g}"
            for i in coarse
        ]
        yield Finding(
            "warning",
            f"Offsets that {f.rows.dtype} cannot carry",
            f"{listed(shown, 2)}.",
            "The digits were lost before loading: write more of them, or subtract the offset where "
            "the numbers are made.",
        )


def _scales(f: Features, shared_scale: bool) -> Iterator[Finding]:
    moving = f.varying
    if len(moving) < 2:
        return
    least = moving[np.argmin(f.std[moving])]
    most = moving[np.argmax(f.std[moving])]
    ratio = f.std[most] / max(f.std[least], 1e-300)
    if ratio < 1000:
        return
    yield Finding(
        "warning" if shared_scale else "info",
        "Features of very different scale",
        f"The standard deviation is {f.std[least]:.3g} for {f.names[least]} and "
        f"{f.std[most]:.3g} for {f.names[most]}: {ratio:.2g} times as large.",
        "Rows (C, H, W) are standardized with one scale for all: rescale the small ones first."
        if shared_scale
        else "Keep standardize=True, the default of training, which brings all to unit variance.",
    )


def _outliers(f: Features, columns: Sequence[str]) -> Iterator[Finding]:
    """Values further from the median than 20 spreads, a spread being the quartile range / 1.349
    (the standard deviation if normal); the standard deviation where that range vanishes."""
    q1, median, q3 = f.quartiles
    spread = (q3 - q1) / 1.349
    spread = np.where(spread > 1e-6 * f.std, spread, f.std)
    far = np.maximum(f.high - median, median - f.low) > SPREADS * spread
    far &= f.low < f.high
    if not far.any():
        return
    out = np.abs(f.rows[:, far] - median[far]) > SPREADS * spread[far]
    rows = np.flatnonzero(out.any(1))
    distance = np.abs(f.rows[:, far] - median[far]) / spread[far]
    row, column = np.unravel_index(int(np.argmax(distance)), distance.shape)
    place = int(np.flatnonzero(far)[column])
    worst = f.rows[row, place]
    often = float(worst).is_integer() and int((f.rows[:, place] == worst).sum()) > 1
    code = f"missing={worst:.0f} reads {worst:.0f} as a missing value, if it stands for one. "
    yield Finding(
        "warning",
        "Outliers or heavy tails",
        f"{len(rows)} of {len(f.rows)} rows lie more than {SPREADS} spreads from the median in "
        f"one of {int(far.sum())} features; the furthest is {f.rows[row, place]:g} in "
        f"{f.names[place]}, row {int(row)} (counting from 0), where the median is "
        f"{median[place]:.3g} and the spread {spread[place]:.3g}.",
        f"{code if often and columns else ''}If these are mistakes (units, codes), remove them; if "
        "real, take logarithms or ranks first: few rows will decide the scale.",
    )


def _dependent(f: Features) -> Iterator[Finding]:
    """Directions with less than a millionth of the variance of standardized features."""
    spread = f.some.std(0)
    moving = np.flatnonzero(spread > 0)
    d = len(moving)
    if not 2 <= d <= 512 or len(f.some) <= 2 * d:
        return
    z = (f.some[:, moving] - f.some[:, moving].mean(0)) / spread[moving]
    values, vectors = np.linalg.eigh(z.T @ z / len(z))
    flat = int((values < 1e-6).sum())
    if not flat:
        return
    weights = np.abs(vectors[:, 0])
    involved = [f.names[moving[i]] for i in np.argsort(-weights) if weights[i] > 0.05]
    yield Finding(
        "warning",
        "Features that follow from others",
        f"In {flat} of {d} directions the features do not vary; one of them involves "
        f"{listed(involved)}.",
        "Rows lie on a plane, where densities are infinite: leave out columns that are sums, "
        "copies or other units of the rest.",
    )
