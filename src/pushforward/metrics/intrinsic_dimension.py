r"""Intrinsic dimension: on how many coordinates points depend, from the distances to neighbors.

Where points are spread evenly over `d` dimensions on the scale of the distances `r_1 < ... < r_k`
to the neighbors of a point, the logarithms `log(r_k / r_j)`, `j < k`, are `k - 1` independent
exponential variables of rate `d` (Levina & Bickel 2004). The likelihood of all points together is
largest at

    1 / d = mean over points and j of log(r_k / r_j)

(MacKay & Ghahramani 2005: inverses are averaged, since an average of the estimates of single points
is too large). With `k = 2` this is the TwoNN estimator (Facco et al. 2017), by its likelihood
(Denti et al. 2022).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.checks import whole
from pushforward.errors import InputError
from pushforward.metrics._points import neighbors as neighbors_of
from pushforward.metrics._points import points
from pushforward.metrics.estimate import Estimate
from pushforward.metrics.evaluation import Row

__all__ = [
    "DimensionAtScale",
    "dimension_by_scale",
    "dimension_row",
    "intrinsic_dimension",
    "seen_dimensions",
]

_FEWEST = 20
_TIED = 0.1


def intrinsic_dimension(x: Tensor, *, neighbors: int = 2, seed: int = 0) -> Estimate:
    r"""The intrinsic dimension of points, on the scale of the distances between neighbors.

    Two nearest neighbors (TwoNN) by default; with more `neighbors`, the estimator of Levina &
    Bickel with the correction of MacKay & Ghahramani, which has a smaller error and sees a larger
    scale. Nothing is drawn; `seed` is there so that all metrics are called alike.

    Args:
        x: points `(N, *event)`, at least 20 and none of them twice.
        neighbors: how many.

    Returns the estimate `(N (k - 1) - 1) / sum log(r_k / r_j)`, which is unbiased for points spread
    evenly. Its standard error counts that neighbors share their distances: the exact error of
    independent ratios, `d / sqrt(N (k - 1) - 2)`, is too small by 15 to 25 %. In sets of 300 points
    two errors covered the truth in 93 to 95 % with two neighbors, and in 88 to 91 % with ten, whose
    error is still up to a sixth too small there (`benchmarks/intrinsic_dimension.py`).

    **Bias.** Noise adds its dimensions where neighbors are closer than its scale. Boundaries,
    curvature and uneven density change the estimate where neighbors are far apart, and in many
    dimensions they always are: the estimate is then mostly too small. `dimension_by_scale` shows
    both. `converged` is false above `seen_dimensions(N)`, `2 log10 N` (Eckmann & Ruelle 1992): such
    an estimate is no more than a lower bound.

    Raises `InputError` for too few points, copies, distances that take few values, NaN or infinity.

    >>> g = torch.Generator().manual_seed(0)
    >>> plane = torch.randn(1000, 2, generator=g) @ torch.randn(2, 20, generator=g)
    >>> print(intrinsic_dimension(plane))
    1.999 ± 0.075
    """
    found = points(x, "x", max(_FEWEST, whole("neighbors", neighbors, least=2) + 1))
    n, free = len(found), neighbors - 1
    distance, index = neighbors_of(found, found, neighbors, same=True)
    _refuse_ties(distance)
    each = (distance[:, -1:] / distance[:, :-1]).log().sum(1)
    total = float(each.sum())
    value = (n * free - 1) / total
    stderr = value * math.sqrt(_variance_of_sum(each, index)) / total
    return Estimate(value, stderr, n, converged=value <= seen_dimensions(n))


def seen_dimensions(n: int) -> float:
    """The largest dimension that `n` points show, `2 log10 n` (Eckmann & Ruelle 1992).

    Distances to neighbors tell a dimension where they are at most a tenth of the size of the set,
    and then there are no pairs of `n` points left in more dimensions.

    >>> round(seen_dimensions(1000), 6)
    6.0
    """
    return 2 * math.log10(n)


@dataclass(frozen=True)
class DimensionAtScale:
    """The dimension that points have on one scale.

    Args:
        scale: the mean distance to the last neighbor, in the units of the points.
        estimate: the dimension.
        points: of how many points each of the estimates was that this is the mean of.
    """

    scale: float
    estimate: Estimate
    points: int

    def __str__(self) -> str:
        return f"{self.estimate} at {self.scale:.3g}, from sets of {self.points:,}"


def dimension_by_scale(
    x: Tensor, *, neighbors: int = 2, least: int = 100, seed: int = 0
) -> list[DimensionAtScale]:
    r"""The intrinsic dimension on growing scales: of all points, of halves, of quarters, ...

    Fewer points have neighbors farther apart (decimation; Facco et al. 2017). The points are cut at
    random into 1, 2, 4, ... sets, and the estimates of the sets of a size are averaged. Where the
    dimension stays the same over a range of scales, that is the dimension of the data there; where
    it grows towards small scales, there is noise.

    Args:
        x, neighbors: as in `intrinsic_dimension`.
        least: the fewest points of a set.
        seed: of the cuts.

    Raises `InputError` as `intrinsic_dimension` does.

    >>> g = torch.Generator().manual_seed(0)
    >>> line = 10 * torch.rand(800, 1, generator=g) * torch.ones(2)
    >>> for each in dimension_by_scale(line + 0.005 * torch.randn(800, 2, generator=g)):
    ...     print(each)
    1.527 ± 0.061 at 0.0192, from sets of 800
    1.319 ± 0.051 at 0.0357, from sets of 400
    1.207 ± 0.045 at 0.0695, from sets of 200
    1.100 ± 0.043 at 0.142, from sets of 100
    """
    found = points(x, "x", max(_FEWEST, whole("neighbors", neighbors, least=2) + 1))
    least = whole("least", least, least=max(_FEWEST, neighbors + 1))
    order = torch.randperm(len(found), generator=resolve(seed))
    scales = []
    for halvings in range(1 + max(0, int(math.log2(len(found) / least)))):
        parts = [found[rows] for rows in order.tensor_split(2**halvings)]
        each = [intrinsic_dimension(part, neighbors=neighbors) for part in parts]
        value = sum(e.value for e in each) / len(each)
        # Sets without a common point are independent.
        stderr = math.sqrt(sum(e.stderr**2 for e in each)) / len(each)
        size = min(e.n for e in each)
        far = [neighbors_of(part, part, neighbors, same=True)[0][:, -1].mean() for part in parts]
        estimate = Estimate(value, stderr, len(found), value <= seen_dimensions(size))
        scales.append(DimensionAtScale(float(torch.stack(far).mean()), estimate, size))
    return scales


def dimension_row(samples: Tensor, real: Tensor) -> list[Row]:
    """The row of an evaluation for points `(N, k)`, without copies.

    None for points of one coordinate, and where one of the sets has no dimension.
    """
    ambient = real.shape[1]
    if ambient < 2:
        return []
    sets = [torch.unique(x, dim=0) for x in (samples, real)]
    try:
        found, floor = (intrinsic_dimension(x) for x in sets)
    except InputError:
        # States of few values, which no distances between neighbors tell the dimension of.
        return []
    note = f"of {ambient}: coordinates that neighbors differ in"
    if not (found.converged and floor.converged):
        most = seen_dimensions(min(found.n, floor.n))
        note += f"; {min(found.n, floor.n):,} points show {most:.1f} at the most"
    copies = len(samples) - len(sets[0])
    if copies:
        note += f"; without {copies} copies"
    known = found.value, found.stderr, floor.value, floor.stderr
    return [Row("intrinsic dimension", *known, "floor", note, converged=found.converged)]


def _refuse_ties(distance: Tensor) -> None:
    n = len(distance)
    copies = int((distance[:, 0] == 0).sum())
    if copies:
        raise InputError(
            f"{copies} of {n} points are copies of another one, and have no distance to it: leave "
            "them out with torch.unique(x, dim=0). Data of few levels have no dimension"
        )
    tied = float((distance[:, 0] == distance[:, -1]).double().mean())
    if tied > _TIED:
        raise InputError(
            f"{tied:.0%} of {n} points have several nearest neighbors at one distance: data that "
            "take few values, as whole numbers do, have no dimension. metrics.dequantized spreads "
            "them over their cells"
        )


def _variance_of_sum(each: Tensor, index: Tensor) -> float:
    """Of the sum of terms `(N,)` that depend on each other where one point is among the neighbors
    `(N, k)` of the other: products of their deviations over all such pairs."""
    about = each - each.mean()
    # A pair of mutual neighbors is met from both of its ends.
    mutual = (index[index] == torch.arange(len(each))[:, None, None]).any(-1)
    shared = about[:, None] * about[index] * (2 - mutual.double())
    alone = about.square().sum()
    # Few points may say that neighbors lower it, which they do not.
    return float(torch.maximum(alone + shared.sum(), alone))
