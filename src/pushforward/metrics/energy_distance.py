"""The energy distance: how much farther apart the two sets lie than each from itself."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.metrics._points import pair
from pushforward.metrics._ustatistic import u_statistic
from pushforward.metrics.estimate import Estimate

__all__ = ["energy_distance"]


def energy_distance(x: Tensor, y: Tensor, *, seed: int = 0) -> Estimate:
    r"""`2 E|X - Y| - E|X - X'| - E|Y - Y'|`, estimated without bias (Székely & Rizzo 2013).

    Zero exactly if both distributions are the same, otherwise positive; in the units of the data.
    The estimate of a zero falls on either side of it. Nothing is drawn: `seed` is there so that all
    metrics are called alike.

    Args:
        x, y: states `(N, *event)` and `(M, *event)`, at least 4 of each.

    Returns the estimate with the standard error of its U-statistic, somewhat too large at
    equal distributions.
    Raises `InputError` for different events, too few points, NaN or infinity.

    >>> g = torch.Generator().manual_seed(0)
    >>> x, y = torch.randn(500, 2, generator=g), torch.randn(400, 2, generator=g)
    >>> print(energy_distance(x + 1, y))
    0.862 ± 0.077
    """
    left, right = pair(x, y, minimum=4)
    return u_statistic(left, right, torch.neg)
