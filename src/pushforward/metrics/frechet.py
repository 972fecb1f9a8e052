r"""The Fréchet distance of features: how far apart two sets are, each seen as one Gaussian.

For normal distributions with means `m_1, m_2` and covariances `C_1, C_2` it is

    |m_1 - m_2|^2 + tr(C_1 + C_2 - 2 (C_1 C_2)^{1/2})

(Dowson & Landau 1982), the square of their Wasserstein-2 distance. With the moments of a network's
features in their place it is the FID of Heusel et al. 2017.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.errors import InputError
from pushforward.metrics._points import pair
from pushforward.metrics.estimate import Estimate

__all__ = ["frechet_distance", "frechet_infinity", "frechet_of_moments"]

_GROUPS = 12  # of the jackknife; the numbers of parts below divide it
_PARTS = (1, 2, 3, 4)


def frechet_of_moments(mean_x: Tensor, cov_x: Tensor, mean_y: Tensor, cov_y: Tensor) -> float:
    """The Fréchet distance of two normal distributions, from means `(d,)` and covariances `(d, d)`.

    In double precision. `tr (C_1 C_2)^{1/2}` is the sum of the singular values of `A' B` with
    `C_1 = A A'` and `C_2 = B B'` from their eigenvectors: taken so, and not as roots of the
    eigenvalues of `C_1 C_2`, it keeps its digits where covariances are singular. Raises
    `InputError` for shapes that do not fit, and for matrices that are not covariances.

    >>> one = torch.eye(2)
    >>> frechet_of_moments(torch.zeros(2), one, torch.tensor([3.0, 0.0]), 4 * one)
    11.0
    """
    means = [mean.detach().to("cpu", torch.float64) for mean in (mean_x, mean_y)]
    covs = [cov.detach().to("cpu", torch.float64) for cov in (cov_x, cov_y)]
    d = mean_x.numel()
    shapes = [tuple(t.shape) for t in (mean_x, cov_x, mean_y, cov_y)]
    if d == 0 or shapes != [(d,), (d, d)] * 2:
        raise InputError(
            "means have shape (d,) and covariances (d, d), not "
            + ", ".join(str(shape) for shape in shapes)
        )
    left, right = (_root(cov, name) for cov, name in zip(covs, ("cov_x", "cov_y"), strict=True))
    common = torch.linalg.svdvals(left.mT @ right).sum()
    value = (means[0] - means[1]).square().sum() + covs[0].trace() + covs[1].trace() - 2 * common
    # Equal distributions leave a rounding error of either sign.
    return max(float(value), 0.0)


def frechet_distance(x: Tensor, y: Tensor, *, seed: int = 0) -> Estimate:
    """The Fréchet distance of the normal distributions fitted to two sets of features: the FID.

    Finite sets make it too large, by an amount that falls like `1 / n` and differs from model to
    model: compare it at equal sizes only, and beside that of real data, or take
    `frechet_infinity`. It costs a singular value decomposition of `(d, d)` for each of 13 terms.

    Args:
        x, y: features `(N, *event)` and `(M, *event)`, at least 24 of each.
        seed: of the groups that the standard error is found by.

    Returns the distance, with `n - 1` in the denominator of covariances, and its standard error by
    a jackknife that leaves out one of 12 random groups of both sets at a time. That measures
    chance, not the bias of finite sets, and at equal distributions is up to twice too large.
    Raises `InputError` for different events, too few points, NaN or infinity.

    >>> g = torch.Generator().manual_seed(0)
    >>> x, y = torch.randn(2000, 2, generator=g), torch.randn(2000, 2, generator=g)
    >>> abs(frechet_distance(2 * x, y).value - 2) < 0.2
    True
    """
    return _jackknifed(*pair(x, y, minimum=2 * _GROUPS), (1.0,), seed)


def frechet_infinity(x: Tensor, y: Tensor, *, seed: int = 0) -> Estimate:
    """The Fréchet distance extrapolated to sets without end, free of the bias of finite sets.

    The bias is proportional to `1 / n` but for terms of higher order. Both sets are cut at random
    into 1, 2, 3 and 4 parts; the mean distance between parts is regressed on their number, which is
    proportional to `1 / n`, and its value at 0 is the estimate (FID_infinity of Chong & Forsyth
    2020, who cut one of the sets only and so keep the bias of the other).

    Args:
        x, y: features `(N, *event)` and `(M, *event)`, of each at least 24, and 4 more than four
            times as many as the features in an event: with fewer the covariances of a part would be
            singular and the bias no line.
        seed: of the parts.

    Returns the estimate, near zero, of either sign, at equal distributions, with its standard error
    by the jackknife of `frechet_distance`.
    Raises `InputError` for different events, too few points, NaN or infinity.

    >>> g = torch.Generator().manual_seed(0)
    >>> x, y = torch.randn(400, 20, generator=g), torch.randn(400, 20, generator=g)
    >>> frechet_distance(x, y).value > 0.4, abs(frechet_infinity(x, y).value) < 0.1
    (True, True)
    """
    left, right = pair(x, y, minimum=2 * _GROUPS)
    d, n = left.shape[1], min(len(left), len(right))
    if n // _PARTS[-1] <= d:
        raise InputError(
            f"{n} points of {d} features cannot be extrapolated: at least "
            f"{_PARTS[-1] * (d + 1)} are needed"
        )
    # Least squares on a line, read off at zero.
    parts = torch.tensor(_PARTS, dtype=torch.float64)
    design = torch.stack([torch.ones_like(parts), parts], 1)
    return _jackknifed(left, right, torch.linalg.pinv(design)[0].tolist(), seed)


def _jackknifed(x: Tensor, y: Tensor, weights: Sequence[float], seed: int) -> Estimate:
    """The combination of distances between parts, with the spread when a group is left out.

    `weights[k - 1]` is that of the mean distance between the `k`-ths of both sets.
    """
    generator = resolve(seed)
    left, right = _Grouped(x, generator), _Grouped(y, generator)
    known: dict[tuple[int, ...], float] = {}

    def between(groups: tuple[int, ...]) -> float:
        # Leaving out a group changes one part of each cut; the others come again.
        if groups not in known:
            known[groups] = frechet_of_moments(*left.moments(groups), *right.moments(groups))
        return known[groups]

    def combined(without: int | None = None) -> float:
        total = 0.0
        for k, weight in enumerate(weights, 1):
            for part in range(k):
                groups = tuple(g for g in range(part, _GROUPS, k) if g != without)
                total += weight / k * between(groups)
        return total

    spread = torch.tensor([combined(g) for g in range(_GROUPS)], dtype=torch.float64)
    variance = (_GROUPS - 1) ** 2 / _GROUPS * float(spread.var())
    return Estimate(combined(), math.sqrt(variance), min(len(x), len(y)))


class _Grouped:
    """A set cut at random into groups, kept as sums from which any union's moments follow."""

    def __init__(self, x: Tensor, generator: torch.Generator) -> None:
        # About their own mean, so that the sums do not lose what the mean is larger by.
        self.center = x.mean(0)
        order = torch.randperm(len(x), generator=generator)
        groups = [x[rows] - self.center for rows in order.tensor_split(_GROUPS)]
        self.counts = [len(group) for group in groups]
        self.sums = torch.stack([group.sum(0) for group in groups])
        self.products = torch.stack([group.mT @ group for group in groups])

    def moments(self, groups: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """Mean `(d,)` and covariance `(d, d)` of the union of some groups."""
        chosen = list(groups)
        n = sum(self.counts[g] for g in chosen)
        mean = self.sums[chosen].sum(0) / n
        products = self.products[chosen].sum(0) - n * torch.outer(mean, mean)
        return self.center + mean, products / (n - 1)


def _root(cov: Tensor, name: str) -> Tensor:
    """A matrix `A` `(d, r)` with `A A' = cov`, of the rank `r` that is above rounding."""
    largest = float(cov.abs().max())
    if not math.isfinite(largest) or float((cov - cov.mT).abs().max()) > 1e-6 * largest:
        raise InputError(f"{name} is not finite and symmetric, so it is no covariance")
    values, vectors = torch.linalg.eigh((cov + cov.mT) / 2)
    # Single precision is where covariances may come from.
    if float(values[0]) < -1e-5 * largest * len(cov):
        raise InputError(f"{name} has the eigenvalue {float(values[0]):g}: it is no covariance")
    kept = values > len(cov) * torch.finfo(torch.float64).eps * values[-1]
    return vectors[:, kept] * values[kept].sqrt()
