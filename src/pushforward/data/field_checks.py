"""What may go wrong with the variables of fields."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pushforward.data.dataset import Data
from pushforward.data.finding import Finding, listed

__all__ = ["check"]

_FAR = 30.0
"""Standard deviations beyond which a value is more likely a fill value than a storm."""


def check(data: Data, rows: NDArray[np.floating]) -> Iterator[Finding]:
    """Variables that never change, and values far from all others, in the cells that have values.

    `rows` are the finite rows of the data, `(N, cells)`.
    """
    found = data.schema.fields
    assert found is not None
    fields = rows.reshape(len(rows), *found.event_shape)
    still, far = [], []
    for channel, name in enumerate(found.channel_names):
        values = fields[:, channel]
        if found.present is not None:
            values = values[:, found.present[channel]]
        center, spread = float(values.mean(dtype=float)), float(values.std(dtype=float))
        if float(values.min()) == float(values.max()):
            still.append(f"{name} = {center:g}")
            continue
        worst = float(values.flat[int(np.abs(values - center).argmax())])
        if abs(worst - center) > _FAR * spread:
            far.append(f"{name} has {worst:g} beside a mean of {center:g} and a spread of "
                       f"{spread:g}")  # fmt: skip
    if still:
        yield Finding(
            "warning",
            "A variable never changes",
            f"Constant: {listed(still)}.",
            "There is nothing to learn of it: leave it out with variables=.",
        )
    if far:
        yield Finding(
            "warning",
            "A value is far from all others",
            f"{listed(far)}.",
            "If it stands for a missing value, say so in the attribute `_FillValue` of the store.",
        )
