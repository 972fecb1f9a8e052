"""Memorization: whether samples lie closer to the training data than unseen data do."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.metrics._points import checked, nearest, pair, points
from pushforward.metrics.estimate import Estimate

__all__ = ["memorization", "near_copies"]

_PART = 8192  # training points looked at together


def memorization(x: Tensor, y: Tensor, train: Tensor, *, seed: int = 0) -> Estimate:
    r"""How likely a sample lies closer to the training data than a held-out point does.

    `P(d(X, train) < d(Y, train)) + P(equal) / 2`, with `d` the distance to the nearest training
    point: the test of Meehan, Chaudhuri & Dasgupta (2020) over all of space. One half is right;
    above it, the model copies; below it, samples are farther from the data than real ones are.
    Nothing is drawn; `seed` is there so that all metrics are called alike.

    Args:
        x: samples, `(N, *event)`.
        y: held-out data, `(M, *event)`, which must not be among the training data.
        train: the training data, `(K, *event)`.

    Returns the estimate with its standard error over both sets, given the training data (DeLong et
    al. 1988). Raises `InputError` for different events, too few points, NaN or infinity.

    >>> train = torch.arange(8.0)[:, None]
    >>> memorization(train[:4] + 0.01, train + 0.5, train).value
    1.0
    """
    to_x, to_y = _distances(x, y, train)
    ordered = to_y.sort().values
    # Midranks: how many of the other set lie above, ties counted half.
    above_x = _share_above(to_x, ordered)
    above_y = 1 - _share_above(to_y, to_x.sort().values)
    value = float(above_x.mean())
    n, m = len(to_x), len(to_y)
    variance = float(above_x.var()) / n + float(above_y.var()) / m
    # Complete separation shows no spread; one decision in each set going the other way would.
    return Estimate(value, max(math.sqrt(variance), 0.5 / (min(n, m) + 1)), min(n, m))


def near_copies(
    x: Tensor, y: Tensor, train: Tensor, *, share: float = 0.01, seed: int = 0
) -> Estimate:
    r"""The share of samples closer to a training point than all but a `share` of held-out points.

    A model that does not copy reaches about `share` itself; one that copies some of the training
    points, and samples well otherwise, shows here long before it does in `memorization`.

    Args:
        x, y, train: as in `memorization`; at least `1 / share` held-out points.
        share: the quantile of held-out distances that bounds a near copy.

    Returns the share with its standard error: binomial in the samples, and in the held-out points
    that set the bound, where that is worth `share (1 - share) / M`.
    Raises `InputError` as `memorization` does, and for a `share` outside (0, 1).

    >>> g = torch.Generator().manual_seed(0)
    >>> train, y, x = torch.randn(3, 400, 2, generator=g)
    >>> x[:40] = train[:40]
    >>> near_copies(x, y, train).value > 0.09
    True
    """
    if not 0 < share < 1:
        raise InputError(f"share={share} must lie inside (0, 1)")
    if len(y) * share < 1:
        raise InputError(
            f"{len(y)} held-out points have no quantile at {share}: "
            f"at least {math.ceil(1 / share)} are needed"
        )
    to_x, to_y = _distances(x, y, train)
    rank = math.ceil(share * len(to_y))
    bound = to_y.kthvalue(rank).values
    # Strictly closer, unless real data coincide with training data as well.
    close = to_x <= bound if bound == 0 else to_x < bound
    n, m = len(to_x), len(to_y)
    count = int(close.sum())
    smoothed = (count + 1) / (n + 2)
    variance = smoothed * (1 - smoothed) / n + share * (1 - share) / m
    return Estimate(count / n, math.sqrt(variance), n)


def _distances(x: Tensor, y: Tensor, train: Tensor) -> tuple[Tensor, Tensor]:
    """Distances of samples and held-out points to the nearest training point."""
    samples, held_out = pair(x, y)
    known = checked(train, "train", minimum=1)
    if train.shape[1:] != x.shape[1:]:
        raise InputError(
            f"x has events of shape {tuple(x.shape[1:])} and train of {tuple(train.shape[1:])}; "
            "they must be the same"
        )
    queries = torch.cat([samples, held_out])
    closest = torch.full((len(queries),), torch.inf, dtype=torch.float64)
    # The training data are the one set that may be too large to hold twice.
    for part in known.split(_PART):
        closest = torch.minimum(closest, nearest(queries, points(part, "train", minimum=1)))
    return closest[: len(samples)], closest[len(samples) :]


def _share_above(values: Tensor, ordered: Tensor) -> Tensor:
    """The share of `ordered` above each value, ties counted half."""
    below = torch.searchsorted(ordered, values)
    not_above = torch.searchsorted(ordered, values, right=True)
    return 1 - (below + not_above).double() / (2 * len(ordered))
