"""Hausdorff and Chamfer distance: how far two sets of points are from each other, as sets."""

from __future__ import annotations

import math

from torch import Tensor

from pushforward.metrics._points import nearest, pair
from pushforward.metrics.estimate import Estimate

__all__ = ["chamfer", "hausdorff"]


def hausdorff(x: Tensor, y: Tensor, *, seed: int = 0) -> Estimate:
    r"""The Hausdorff distance `max(max_x d(x, Y), max_y d(y, X))`, exactly.

    One point decides it: the one farthest from the other set. Of two finite sets it is a number
    without an error, which is NaN. Of the sets that they were drawn from it tells little on its
    own: that of two sets of draws of one distribution is the floor. Nothing is drawn; `seed` is
    there so that all metrics are called alike.

    Args:
        x, y: points `(N, *event)` and `(M, *event)`.

    Raises `InputError` for different events, fewer than two points, NaN or infinity.

    >>> import torch
    >>> line = torch.arange(5.0)[:, None]
    >>> print(hausdorff(line, line[:3]))
    2
    """
    one, other = pair(x, y)
    value = max(float(nearest(one, other).max()), float(nearest(other, one).max()))
    return Estimate(value, math.nan, min(len(one), len(other)))


def chamfer(x: Tensor, y: Tensor, *, seed: int = 0) -> Estimate:
    r"""The Chamfer distance `mean_x d(x, Y) + mean_y d(y, X)`, with distances that are not squared.

    The standard error is that of both means, given the other set. That of two sets of draws of one
    distribution is the floor. Arguments and errors are those of `hausdorff`.

    >>> import torch
    >>> line = torch.arange(5.0)[:, None]
    >>> print(chamfer(line, line[:3]))
    0.60 ± 0.40
    """
    one, other = pair(x, y)
    to, back = nearest(one, other), nearest(other, one)
    variance = float(to.var()) / len(to) + float(back.var()) / len(back)
    value = float(to.mean() + back.mean())
    return Estimate(value, math.sqrt(variance), min(len(to), len(back)))
