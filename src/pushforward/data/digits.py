"""The handwritten digits that scikit-learn brings along."""

from __future__ import annotations

from pushforward._extras import require
from pushforward.data.raw import Raw

__all__ = ["read_digits"]


def read_digits(labels: bool = True) -> Raw:
    """1797 handwritten digits, 8 x 8 pixels of 17 gray levels, in 10 classes."""
    datasets = require("sklearn.datasets", extra="data", purpose="load the digits")
    bunch = datasets.load_digits()
    return Raw(
        bunch.images[:, None],
        bunch.target if labels else None,
        "digits",
        levels=17,
        value_range=(0.0, 16.0),
    )
