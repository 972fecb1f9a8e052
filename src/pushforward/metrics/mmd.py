"""The maximum mean discrepancy under a mixture of Gaussian kernels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward._gaussian_kernels import mean_gaussian
from pushforward._random import resolve
from pushforward.errors import InputError
from pushforward.metrics._points import distances, pair, subsample
from pushforward.metrics._ustatistic import u_statistic
from pushforward.metrics.estimate import Estimate

__all__ = ["default_bandwidths", "median_distance", "mmd"]

_MULTIPLES = (0.25, 0.5, 1.0, 2.0, 4.0)
_ENOUGH = 1000  # points for a median of distances


def mmd(
    x: Tensor, y: Tensor, *, bandwidths: Sequence[float] | None = None, seed: int = 0
) -> Estimate:
    r"""The squared MMD, `E k(X, X') + E k(Y, Y') - 2 E k(X, Y)`, unbiased (Gretton et al. 2012).

    `k(u, v) = mean_b exp(-|u - v|^2 / (2 b^2))` over the bandwidths `b`. Zero exactly if both
    distributions are the same, and never above 2; the estimate of a zero falls on either side of
    it.

    Args:
        x: states to judge, `(N, *event)`, at least 4.
        y: the reference, `(M, *event)`, at least 4.
        bandwidths: in the units of the data; by default 1/4, 1/2, 1, 2 and 4 times the median
            distance between reference points, of 1000 of them drawn by `seed` if there are more.

    Returns the estimate with the standard error of its U-statistic, somewhat too large at
    equal distributions.
    Raises `InputError` for different events, too few points, NaN or infinity, and bandwidths that
    are not positive.

    >>> g = torch.Generator().manual_seed(0)
    >>> x, y = torch.randn(500, 2, generator=g), torch.randn(400, 2, generator=g)
    >>> print(mmd(x + 1, y))
    0.127 ± 0.012
    """
    left, right = pair(x, y, minimum=4)
    if bandwidths is None:
        bandwidths = default_bandwidths(right, seed=seed)
    if not bandwidths or not all(0 < width < math.inf for width in bandwidths):
        raise InputError(f"bandwidths must be positive lengths, not {list(bandwidths)}")
    widths = bandwidths
    return u_statistic(left, right, lambda distance: mean_gaussian(distance.square_(), widths))


def default_bandwidths(y: Tensor, *, seed: int = 0) -> list[float]:
    """The bandwidths that `mmd` takes for a reference, `(M, d)` in double precision.

    >>> default_bandwidths(torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64))
    [0.5, 1.0, 2.0, 4.0, 8.0]
    """
    median = median_distance(y, seed=seed)
    return [multiple * median for multiple in _MULTIPLES]


def median_distance(y: Tensor, *, seed: int = 0) -> float:
    """The median distance between the points of a reference, `(M, d)` in double precision.

    Where more than half of the pairs coincide it is the mean distance, and 1 if all coincide.

    >>> median_distance(torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64))
    2.0
    """
    few = subsample(y, _ENOUGH, resolve(seed))
    rows, columns = torch.triu_indices(len(few), len(few), offset=1)
    between = distances(few, few)[rows, columns]
    for typical in (float(between.median()), float(between.mean())):
        # A copy of a point lies at rounding error from it, not at zero.
        if typical > 1e-6 * float(between.max()):
            return typical
    return 1.0
