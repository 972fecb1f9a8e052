"""What may go wrong with functions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pushforward.data.dataset import Data
from pushforward.data.finding import Finding

__all__ = ["check"]

_FAR = 30.0
"""Standard deviations beyond which a value is more likely a fill value than a measurement."""
_SPARSE = 0.5
"""The share of missing values from which samples say more than the data do."""


def check(data: Data, rows: NDArray[np.floating]) -> Iterator[Finding]:
    """Missing values, channels that never change, and values far from all others.

    `rows` are the functions `(N, values)`, NaN where they have none.
    """
    made = data.schema.functions
    assert made is not None
    share = float(np.isnan(rows).mean())
    if share:
        yield Finding(
            "warning" if share > _SPARSE else "info",
            f"{share:.1%} of the values are missing",
            "A model learns from those that are there, and draws functions without gaps.",
            "How values at points that were never seen together depend on each other is the "
            "network's guess."
            if share > _SPARSE
            else "",
        )
    functions = rows.reshape(len(rows), *made.event_shape)
    for channel, name in enumerate(made.values):
        values = functions[:, channel]
        center, spread = float(np.nanmean(values)), float(np.nanstd(values))
        called = f" {name!r}" if name else ""
        if spread == 0:
            yield Finding(
                "warning", f"The channel{called} never changes", f"It is {center:g} everywhere.",
                "There is nothing to learn of it: leave it out.",
            )  # fmt: skip
            continue
        worst = float(values.flat[int(np.nanargmax(np.abs(values - center)))])
        if abs(worst - center) > _FAR * spread:
            yield Finding(
                "warning",
                "A value is far from all others",
                f"The channel{called} has {worst:g} beside a mean of {center:g} and a spread of "
                f"{spread:g}.",
                "If it stands for a missing value, say so with missing=.",
            )
