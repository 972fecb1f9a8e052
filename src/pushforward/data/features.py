"""The features of a data set, measured once for all checks of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pushforward.data.dataset import Data

__all__ = ["Features", "Rows", "measure"]

Rows = NDArray[np.floating]
Array = NDArray[np.float64]

MOST_NUMBERS = 10_000_000


@dataclass(frozen=True)
class Features:
    """The rows `(N, D)`, some of them in double precision, and what every check needs of them."""

    rows: Rows
    some: Array
    low: Rows
    high: Rows
    quartiles: Array
    mean: Array
    std: Array
    names: list[str]

    @property
    def varying(self) -> NDArray[np.intp]:
        """The numbers of the features that are not constant."""
        return np.flatnonzero(self.low < self.high)


def measure(data: Data, rows: Rows) -> Features:
    """The features of data whose finite rows are `rows`, `(N, D)`.

    Of very large data a random part serves for quartiles and for all that is done with `some`.
    """
    n, d = rows.shape
    most = max(MOST_NUMBERS // d, 100)
    if n > most:
        order = torch.randperm(n, generator=torch.Generator().manual_seed(0))[:most]
        some = rows[order.numpy()].astype(np.float64)
    else:
        some = rows.astype(np.float64)
    if data.columns:
        names = [f"column {name!r}" for name in data.columns]
    elif len(data.event_shape) == 1:
        names = [f"feature {i}" for i in range(d)]
    else:
        places = np.ndindex(*data.event_shape)
        names = [f"entry {place}" for place in places]
    quartiles = np.quantile(some, [0.25, 0.5, 0.75], axis=0)
    mean = rows.mean(0, dtype=np.float64)
    squares = sum(((rows[i : i + most] - mean) ** 2).sum(0) for i in range(0, n, most))
    std = np.sqrt(squares / (n - 1))
    return Features(rows, some, rows.min(0), rows.max(0), quartiles, mean, std, names)
