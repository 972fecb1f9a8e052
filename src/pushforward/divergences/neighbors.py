r"""The Kullback-Leibler divergence from samples, by distances to nearest neighbors.

With `rho_i` the distance of `x_i` to its `k`-th nearest other point of `x`, and `nu_i` that to its
`k`-th nearest point of `y`,

    KL = d / n sum_i log (nu_i / rho_i) + log (m / (n - 1))

(Wang, Kulkarni & Verdú 2009): the same `k` on both sides, so that the biases of both densities
cancel where they are equal. Here `d` is the number of dimensions that the points fill together: a
column that is constant, or the sum of others, adds none.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.checks import whole
from pushforward.divergences import gaussian
from pushforward.divergences.divergence import Divergence
from pushforward.divergences.floors import MANY, QUICK, Floor, divisions, floor, floor_of
from pushforward.divergences.spans import spans
from pushforward.errors import CapabilityError, InputError
from pushforward.metrics import Estimate
from pushforward.metrics._points import neighbors as nearest_points

__all__ = ["neighbor_kl"]

_SPLITS = 40
"""Random halves, whose difference is the standard error."""
_TIMES, _QUICK_TIMES = 5, 20
"""How often normal distributions are drawn from to see the bias; more of few points."""
_MOST_DIMENSIONS = 10
"""For each neighbor: with one in 50 dimensions the bias is as large as what is looked for."""
_LEAST = 24
_LISTED = 5_000_000
"""Neighbors that are kept in memory at a time."""

Lists = tuple[Tensor, Tensor]
"""Distances to the nearest points, the nearest first, and which they are: `(n, L)` each."""


def neighbor_kl(x: Tensor, y: Tensor, *, k: int, seed: int) -> Divergence:
    """`KL(p || q)` from points `(n, d)` and `(m, d)` in double precision.

    The standard error is that of random halves of both sets: two halves are independent samples,
    whose estimates differ by chance alone, four times as much in square as what is estimated from
    all points does from its mean. Averaged over 40 ways to halve.

    The bias is measured: on normal distributions with the moments of both sets, of which the
    divergence is known, drawn at the same sizes. Where it is more than one and a half standard
    errors and its own one, or than a tenth of the value if that is more, the estimate has not
    converged.

    Infinite where one set fills fewer dimensions than both together, and no point of `y` lies in
    those of `x`.

    Raises `CapabilityError` for more than 10 dimensions a neighbor, and where some points of `y`
    lie in the fewer dimensions that `x` fills; `InputError` for fewer than `2 k + 2` points, or
    points of which so many coincide that a distance is 0.
    """
    n, wide = min(len(x), len(y)), x.shape[1]
    whole("neighbors", k)
    if n < max(2 * k + 2, _LEAST):
        raise InputError(
            f"{n} points are too few for {k} neighbors: {max(2 * k + 2, _LEAST)} are the least"
        )
    x, y, ranks, shared = spans(x, y)
    d = x.shape[1]
    if d > _MOST_DIMENSIONS * k:
        raise CapabilityError(
            f"{k} neighbor{'s' * (k > 1)} in {d} dimensions: distances of neighbors tell nothing "
            f"of a density there; take neighbors={-(-d // _MOST_DIMENSIONS)} or more, or "
            "variational_bound"
        )
    if d == 0:
        raise InputError(
            f"all points of x and y coincide, {wide} numbers each: there is no density"
        )
    if min(ranks) < d:
        if ranks[0] < d and shared > 0:
            raise CapabilityError(
                f"x fills {ranks[0]} of {d} dimensions, in which {shared:.0%} of y lie: there is "
                "no density of one beside the other; compare those points of y by themselves"
            )
        return Divergence(math.inf, 0.0, f"of {d} dimensions, x fills {ranks[0]} and y {ranks[1]}")
    known = _Neighbors(x, y, k, 3 * k + 15)
    value, stderr = _value(known), _error_of_halves(known, seed)
    found = _bias_of_normals(x, y, k, seed)
    said, converged = "bias of unknown size", False
    if found is not None:
        said = f"bias {found.value:+.2g} on normal distributions with the same moments"
        small = max(1.5 * stderr, 0.1 * abs(value))
        converged = abs(found.value) <= small + found.stderr
    return Divergence(
        value, stderr, f"{k} nearest neighbor{'s' * (k > 1)}", said, *_floor(x, y, k, seed), n,
        converged=converged,
    )  # fmt: skip


class _Neighbors:
    """The neighbors of each point of `x` among the others and among the points of `y`: lists of a
    given length or, if there are not so many, of all."""

    def __init__(self, x: Tensor, y: Tensor, k: int, length: int) -> None:
        self.k, self.dimension, self.sizes = k, x.shape[1], (len(x), len(y))
        self.own = nearest_points(x, x, min(length, len(x) - 1), same=True)
        self.other = nearest_points(x, y, min(length, len(y)))
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
    own, other = (
        _log_distance(lists, kept, kept_x, known.k)
        for lists, kept in ((known.own, kept_x), (known.other, kept_y))
    )
    sizes = int(kept_x.sum()), int(kept_y.sum())
    return _estimate(own, other, known.dimension, *sizes)


def _log_distance(lists: Lists, kept: Tensor, rows: Tensor, k: int) -> Tensor:
    """The logarithm of the distance of each of some rows to the `k`-th neighbor that is kept."""
    distance, index = (part[rows] for part in lists)
    order = kept[index].cumsum(1)
    # The first place at which k of those that are kept have come.
    place = (order < k).sum(1, keepdim=True).clamp(max=index.shape[1] - 1)
    return distance.gather(1, place)[:, 0].log()


def _estimate(own: Tensor, other: Tensor, d: int, n: int, m: int) -> float:
    return d * float((other - own).mean()) + math.log(m / (n - 1))


def _error_of_halves(known: _Neighbors, seed: int) -> float:
    generator, squares = resolve(seed), 0.0
    for _ in range(_SPLITS):
        first = [torch.randperm(size, generator=generator) < size // 2 for size in known.sizes]
        halves = _value(known, *first), _value(known, *(~half for half in first))
        squares += (halves[0] - halves[1]) ** 2
    return 0.5 * math.sqrt(squares / _SPLITS)


def _floor(x: Tensor, y: Tensor, k: int, seed: int) -> Floor:
    """Over 100 divisions of all points, whose neighbors are looked up once."""
    both, n = torch.cat([x, y]), len(x)
    # So long that hardly a point lacks its k-th neighbor in the smaller part.
    length = min(math.ceil((2 * k + 10) * len(both) / min(n, len(y))), len(both) - 1)
    if length * len(both) > _LISTED:
        return floor(lambda a, b: _value(_Neighbors(a, b, k, k)), x, y, seed=seed, slow=True)
    lists = nearest_points(both, both, length, same=True)

    def value(order: Tensor) -> float:
        first = torch.zeros(len(both), dtype=torch.bool)
        first[order[:n]] = True
        own, other = (_log_distance(lists, kept, first, k) for kept in (first, ~first))
        return _estimate(own, other, x.shape[1], n, len(y))

    return floor_of(value(order) for order in divisions(len(both), MANY, seed))


def _bias_of_normals(x: Tensor, y: Tensor, k: int, seed: int) -> Estimate | None:
    """The mean estimate less the truth, for normal distributions with the moments of both; `None`
    if one is singular."""
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
    for _ in range(_QUICK_TIMES if len(x) * len(y) <= QUICK else _TIMES):
        left, right = (
            mean + torch.randn(z.shape, generator=generator, dtype=z.dtype) @ root.mT
            for (mean, _, root), z in zip(moments, (x, y), strict=True)
        )
        found.append(_value(_Neighbors(left, right, k, k)))
    values = torch.tensor(found, dtype=torch.float64)
    stderr = float(values.std()) / math.sqrt(len(found))
    return Estimate(float(values.mean()) - exact, stderr, len(found))
