"""Precision and recall: how many samples look real, how much of the real data is covered."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.metrics._points import blocks, distances, nearest, pair
from pushforward.metrics.estimate import Estimate

__all__ = ["precision", "recall"]


def precision(x: Tensor, y: Tensor, *, k: int = 3, seed: int = 0) -> Estimate:
    r"""The share of samples `x` that lie in the support of the reference `y`.

    The support is estimated by the union of balls around the reference points, each reaching to its
    `k`-th nearest neighbor among them (Kynkäänniemi et al. 2019). Low precision means samples
    unlike any real ones. Even perfect samples stay below 1, all the more in many dimensions: read
    it against the precision of real data. Nothing is drawn; `seed` is there so that all metrics
    are called alike.

    Args:
        x, y: states `(N, *event)` and `(M, *event)`, more than `k` of each.
        k: which neighbor the balls reach to.

    Returns the share with a standard error from both sets: binomial in the points that are judged,
    jackknife in the centers of the balls, as if a point covered by one ball were lost with its
    center. It is on the safe side, up to twice too large close to 1.
    Raises `InputError` for different events, too few points, NaN or infinity.

    >>> y = torch.arange(10.0)[:, None]
    >>> precision(torch.tensor([[0.5], [4.2], [30.0], [31.0]]), y).value
    0.5
    """
    samples, reference = _checked(x, y, k)
    return _covered(samples, reference, k)


def recall(x: Tensor, y: Tensor, *, k: int = 3, seed: int = 0) -> Estimate:
    r"""The share of the reference `y` that lies in the support of the samples `x`.

    The support of the samples is estimated as that of the reference is in `precision`; low recall
    means that kinds of real data are missing from the samples. Arguments, errors and the standard
    error are those of `precision`.

    >>> y = torch.arange(10.0)[:, None]
    >>> recall(y[:5], y).value  # reaches to 4 + 3
    0.8
    """
    samples, reference = _checked(x, y, k)
    return _covered(reference, samples, k)


def _checked(x: Tensor, y: Tensor, k: int) -> tuple[Tensor, Tensor]:
    if k < 1:
        raise InputError(f"k={k}: the balls reach to the first neighbor or a later one")
    return pair(x, y, minimum=k + 1)


def _covered(points: Tensor, centers: Tensor, k: int) -> Estimate:
    """The share of `points` inside the ball of at least one of the `centers`."""
    n, m = len(points), len(centers)
    radii = nearest(centers, centers, k, same=True)
    # Points on the rim are inside, and so is a copy of a center: a squared distance comes out of a
    # matrix product with the rounding of both squared norms. Each ball has a tolerance of its own,
    # so that one point far away does not widen all of them.
    origin = centers.median(0).values
    points, centers = points - origin, centers - origin
    rounding = 1e-7 * centers.norm(dim=1)
    rim = radii + rounding
    covered = 0
    alone = torch.zeros(m, dtype=torch.float64)
    for _, block in blocks(points, m):
        inside = distances(block, centers) <= rim
        balls = inside.sum(1)
        covered += int((balls > 0).sum())
        alone += inside[balls == 1].sum(0)
    # Laplace's rule keeps the error above zero where all or none are covered.
    share = (covered + 1) / (n + 2)
    variance = share * (1 - share) / n + float((alone / n).var()) * (m - 1) ** 2 / m
    return Estimate(covered / n, math.sqrt(variance), n)
