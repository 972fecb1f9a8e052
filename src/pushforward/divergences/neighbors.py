r"""The Kullback-Leibler divergence from samples, by distances to nearest neighbors.

With `rho_i` the distance of `x_i` to its `k`-th nearest other point of `x`, and `nu_i` that to its
`k`-th nearest point of `y`,

    KL = d / n sum_i log (nu_i / rho_i) + log (m / (n - 1))

(Wang, Kulkarni & Verdú 2009): the same `k` on both sides, so that the biases of both densities
cancel where they are equal.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.checks import whole
from pushforward.divergences import gaussian
from pushforward.divergences.divergence import Divergence
from pushforward.divergences.floors import floor
from pushforward.errors import CapabilityError, InputError
from pushforward.metrics._points import neighbors as nearest_points

__all__ = ["neighbor_kl"]

_GROUPS = 12
"""Of the jackknife."""
_SPARE = 15
"""Further neighbors that are looked up, to go on with when a group is left out."""
_TIMES = 4
"""How often normal distributions are drawn from to see the bias."""
_MOST_DIMENSIONS = 10
"""For each neighbor: with one in 50 dimensions the bias is as large as what is looked for."""


def neighbor_kl(x: Tensor, y: Tensor, *, k: int, seed: int) -> Divergence:
    """`KL(p || q)` from points `(n, d)` and `(m, d)` in double precision.

    The standard error is that of a jackknife that leaves out one of 12 random groups of both sets
    at a time, which is on the safe side: up to twice too large where both distributions are alike,
    since the neighbors of what is left are others.

    The bias is measured: on normal distributions with the moments of both sets, of which the
    divergence is known, drawn at the same sizes. Where it is more than three standard errors, or
    than a tenth of the value if that is more, the estimate has not converged.

    Raises `CapabilityError` for more than 10 dimensions a neighbor, and `InputError` for fewer than
    `2 k + 2` points, or points of which so many coincide that a distance is 0.
    """
    d, n = x.shape[1], min(len(x), len(y))
    if d > _MOST_DIMENSIONS * whole("neighbors", k):
        raise CapabilityError(
            f"{k} neighbor{'s' * (k > 1)} in {d} dimensions: distances of neighbors tell nothing "
            f"of a density there; take neighbors={-(-d // _MOST_DIMENSIONS)} or more, or "
            "variational_bound"
        )
    if n < max(2 * k + 2, 2 * _GROUPS):
        raise InputError(
            f"{n} points are too few for {k} neighbors: {max(2 * k + 2, 2 * _GROUPS)} are the least"
        )
    value, stderr = _estimated(x, y, k, seed)
    bias = _bias_of_normals(x, y, k, seed)
    small = max(3 * stderr, 0.1 * abs(value))
    typical, spread = floor(lambda a, b: _value(_Neighbors(a, b, k)), x, y, seed=seed)
    said = "of unknown size"
    if bias is not None:
        said = f"{bias:+.2g} on normal distributions with the same moments"
    return Divergence(
        value, stderr, f"{k} nearest neighbor{'s' * (k > 1)}", said, typical, spread, n,
        converged=bias is not None and abs(bias) <= small,
    )  # fmt: skip


class _Neighbors:
    """The neighbors of each point of `x` among the others and among the points of `y`."""

    def __init__(self, x: Tensor, y: Tensor, k: int) -> None:
        self.k, self.dimension, self.sizes = k, x.shape[1], (len(x), len(y))
        self.own = nearest_points(x, x, min(k + _SPARE, len(x) - 1), same=True)
        self.other = nearest_points(x, y, min(k + _SPARE, len(y)))
        for (found, _), where in ((self.own, "x"), (self.other, "y")):
            ties = int((found[:, :k].amax(1) == 0).sum())
            if ties:
                raise InputError(
                    f"{ties} points of x coincide with {k} or more points of {where}, where no "
                    "density is finite: add noise of the size of what the data were rounded to, or "
                    "count them as kinds, as integers"
                )


def _value(known: _Neighbors, x: Tensor | None = None, y: Tensor | None = None) -> float:
    """The estimate, from those points of either set that are kept, by their masks."""
    n, m = known.sizes
    kept_x = torch.ones(n, dtype=torch.bool) if x is None else x
    kept_y = torch.ones(m, dtype=torch.bool) if y is None else y
    logs = []
    for (distances, index), kept in ((known.own, kept_x), (known.other, kept_y)):
        order = kept[index].cumsum(1)
        # The first place at which k of those that are kept have come.
        place = (order < known.k).sum(1, keepdim=True).clamp(max=index.shape[1] - 1)
        logs.append(distances.gather(1, place)[:, 0].log())
    gap = (logs[1] - logs[0])[kept_x].mean()
    sizes = int(kept_x.sum()), int(kept_y.sum())
    return known.dimension * float(gap) + math.log(sizes[1] / (sizes[0] - 1))


def _estimated(x: Tensor, y: Tensor, k: int, seed: int) -> tuple[float, float]:
    """The estimate and its standard error."""
    known, generator = _Neighbors(x, y, k), resolve(seed)
    groups = [
        (torch.arange(len(z)) % _GROUPS)[torch.randperm(len(z), generator=generator)]
        for z in (x, y)
    ]
    without = [_value(known, *(group != g for group in groups)) for g in range(_GROUPS)]
    spread = torch.tensor(without, dtype=torch.float64).std()
    return _value(known), (_GROUPS - 1) / math.sqrt(_GROUPS) * float(spread)


def _bias_of_normals(x: Tensor, y: Tensor, k: int, seed: int) -> float | None:
    """Estimate less truth for normal distributions with the moments of both; `None` if singular."""
    moments = []
    for z in (x, y):
        covariance = torch.cov(z.mT).reshape(z.shape[1], z.shape[1])
        root, failed = torch.linalg.cholesky_ex(covariance)
        if int(failed):
            return None
        moments.append((z.mean(0), covariance, root))
    exact = gaussian.kl(*moments[0][:2], *moments[1][:2])
    generator = resolve(seed)
    found = []
    for _ in range(_TIMES):
        left, right = (
            mean + torch.randn(z.shape, generator=generator, dtype=z.dtype) @ root.mT
            for (mean, _, root), z in zip(moments, (x, y), strict=True)
        )
        found.append(_value(_Neighbors(left, right, k)))
    return math.fsum(found) / _TIMES - exact
