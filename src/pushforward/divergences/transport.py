"""Transport distances: Wasserstein, along lines, and with entropy."""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch
from torch import Tensor

from pushforward import metrics, ot
from pushforward._random import resolve
from pushforward.checks import one_of, positive
from pushforward.divergences import gaussian, mixture
from pushforward.divergences.divergence import Divergence
from pushforward.divergences.floors import floor
from pushforward.divergences.given import (
    GaussianPair,
    MixturePair,
    SamplePair,
    refused,
    understood,
)
from pushforward.errors import ConvergenceWarning
from pushforward.metrics._points import subsample

__all__ = [
    "max_sliced_wasserstein",
    "sinkhorn_divergence",
    "sliced_wasserstein",
    "wasserstein",
]

_MOST = 2000
"""Points of each set that a plan is made for."""
_DRAW = "draw samples of both with .sample(n)"
_UPWARDS = "upwards: finite sets lie apart, see the floor"


def wasserstein(p: Any, q: Any, *, order: int = 2, seed: int = 0) -> Divergence:
    r"""`W_k = (min E |X - Y|^k)^(1/k)` over all couplings, for `order` 1 or 2, in units of states.

    Closed for two normal distributions (order 2), an integral for Gaussian mixtures on a line; of
    samples the distance itself, of at most 2000 random points of each set. Its error is that of the
    Kantorovich potentials (del Barrio & Loubes 2019): chance alone, beside a bias of about
    `n^(-1/d)`.

    Raises `CapabilityError` for other distributions, `InputError` for another order.

    >>> from pushforward.distributions import Normal
    >>> print(wasserstein(Normal((3,)), Normal((3,), scale=2.0)))
    1.73205 (closed form)
    """
    one_of("order", order, (1, 2))
    pair = understood(p, q)
    if isinstance(pair, GaussianPair):
        if order == 2:
            return Divergence(gaussian.wasserstein(*pair.moments), 0.0, "closed form")
        pair = pair.mixtures
    if isinstance(pair, SamplePair):
        x, y = _few(pair, seed)
        value, stderr = _between(x, y, order)
        typical = floor(lambda a, b: _between(a, b, order)[0], x, y, seed=seed)
        return Divergence(value, stderr, "plan", _UPWARDS, *typical, min(len(x), len(y)))
    if not isinstance(pair, MixturePair) or pair.dimension > 1:
        raise refused("this Wasserstein distance", pair, _DRAW)
    found = mixture.wasserstein_1(pair) if order == 1 else mixture.wasserstein_2(pair)
    value = max(found.value, 0.0) ** (1 / order)
    error = found.error / (order * value ** (order - 1)) if value > 0 else found.error
    return Divergence(value, error, "integral", converged=found.converged)


def sliced_wasserstein(p: Any, q: Any, *, directions: int = 128, seed: int = 0) -> Divergence:
    r"""`SW_2`, the root of the mean of `W_2^2` over lines; times `sqrt d` it compares with `W_2`.

    From samples that of `metrics.sliced_wasserstein`. For two normal distributions each line has a
    closed form, and the error is that of the directions. Raises `CapabilityError` for others.

    >>> from pushforward.distributions import Normal
    >>> round(sliced_wasserstein(Normal((3,)), Normal((3,), scale=2.0)).value, 6)
    1.0
    """
    pair = understood(p, q)
    if isinstance(pair, SamplePair):

        def value(x: Tensor, y: Tensor) -> metrics.Estimate:
            return metrics.sliced_wasserstein(x, y, directions=directions, seed=seed)

        found = value(pair.x, pair.y)
        typical = floor(lambda x, y: value(x, y).value, pair.x, pair.y, seed=seed)
        return Divergence(found.value, found.stderr, "lines", _UPWARDS, *typical, pair.size)
    if not isinstance(pair, GaussianPair):
        raise refused("the sliced Wasserstein distance", pair, _DRAW)
    d = len(pair.moments[0])
    units = torch.randn(
        d, 1 if d == 1 else directions, generator=resolve(seed), dtype=torch.float64
    )
    squares = _squares(pair, units / units.norm(dim=0))
    value_of = math.sqrt(float(squares.mean()))
    spread = float(squares.std()) / math.sqrt(len(squares)) if len(squares) > 1 else 0.0
    stderr = spread / (2 * value_of) if value_of > 0 else 0.0
    return Divergence(value_of, stderr, "lines", n=len(squares))


def max_sliced_wasserstein(p: Any, q: Any, *, seed: int = 0) -> Divergence:
    r"""`W_2` along the line on which it is largest (Deshpande et al. 2019).

    From samples along `ot.max_sliced_direction`, with the error on that line. For two normal
    distributions by ascent from all axes of both. Raises `CapabilityError` for others.

    >>> from pushforward.distributions import Normal
    >>> round(max_sliced_wasserstein(Normal((3,)), Normal((3,), scale=2.0)).value, 6)
    1.0
    """
    pair = understood(p, q)
    if isinstance(pair, SamplePair):

        def value(x: Tensor, y: Tensor) -> metrics.Estimate:
            best = ot.max_sliced_direction(x, y, seed=seed)
            return metrics.sliced_wasserstein(x @ best, y @ best)

        found = value(pair.x, pair.y)
        typical = floor(lambda x, y: value(x, y).value, pair.x, pair.y, seed=seed)
        return Divergence(found.value, found.stderr, "best line", _UPWARDS, *typical, pair.size)
    if not isinstance(pair, GaussianPair):
        raise refused("the largest distance on a line", pair, _DRAW)
    return Divergence(math.sqrt(_largest_square(pair)), 0.0, "best line")


def sinkhorn_divergence(p: Any, q: Any, *, epsilon: float, seed: int = 0) -> Divergence:
    r"""`OT(p, q) - OT(p, p) / 2 - OT(q, q) / 2` with the entropic costs of `ot.sinkhorn`.

    The cost is `|x - y|^2`, `epsilon` is in its units, and the entropy is in the value, so that it
    is never negative and 0 for equal distributions alone (Feydy et al. 2019). Closed for two
    normal distributions (Janati et al. 2020); of samples, of at most 2000 random points of each
    set, with the error of the potentials. Raises `CapabilityError` for other distributions.

    >>> from pushforward.distributions import Normal
    >>> round(sinkhorn_divergence(Normal((1,)), Normal((1,), scale=2.0), epsilon=1.0).value, 4)
    0.9923
    """
    positive("epsilon", epsilon)
    pair = understood(p, q)
    if isinstance(pair, GaussianPair):
        mean_p, cov_p, mean_q, cov_q = pair.moments
        costs = [
            ot.GaussianPlan(*left, *right, epsilon).regularized_cost
            for left, right in (
                ((mean_p, cov_p), (mean_q, cov_q)),
                ((mean_p, cov_p), (mean_p, cov_p)),
                ((mean_q, cov_q), (mean_q, cov_q)),
            )
        ]
        return Divergence(costs[0] - 0.5 * (costs[1] + costs[2]), 0.0, "closed form")
    if not isinstance(pair, SamplePair):
        raise refused("the Sinkhorn divergence", pair, _DRAW)
    x, y = _few(pair, seed)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", ConvergenceWarning)
        value, stderr = _debiased(x, y, epsilon)
        typical = floor(lambda a, b: float(ot.sinkhorn_divergence(a, b, epsilon)), x, y, seed=seed)
    converged = not any(issubclass(w.category, ConvergenceWarning) for w in said)
    return Divergence(
        value, stderr, "entropic plans", _UPWARDS, *typical, min(len(x), len(y)), converged
    )


def _few(pair: SamplePair, seed: int) -> tuple[Tensor, Tensor]:
    generator = resolve(seed)
    return subsample(pair.x, _MOST, generator), subsample(pair.y, _MOST, generator)


def _between(x: Tensor, y: Tensor, order: int) -> tuple[float, float]:
    """`W_order` of points, and its standard error by the potentials."""
    plan = ot.exact(x, y, cost=None if order == 2 else ot.PowerNorm())
    cost = max(float(plan.cost), 0.0)
    f, g = plan.potentials
    spread = math.sqrt(float(f.var()) / len(f) + float(g.var()) / len(g))
    value = cost ** (1 / order)
    return value, spread / (order * value ** (order - 1)) if value > 0 else 0.0


def _debiased(x: Tensor, y: Tensor, epsilon: float) -> tuple[float, float]:
    """The Sinkhorn divergence, and its error by the potentials: its slopes in the weights."""
    weights = [torch.full((len(z),), 1 / len(z), dtype=z.dtype, requires_grad=True) for z in (x, y)]
    with torch.enable_grad():
        found = ot.sinkhorn_divergence(x, y, epsilon, *weights)
        slopes = torch.autograd.grad(found, weights)
    return float(found.detach()), math.sqrt(sum(float(s.var()) / len(s) for s in slopes))


def _squares(pair: GaussianPair, units: Tensor) -> Tensor:
    """`W_2^2` along each of the unit vectors `(d, L)`, `(L,)`."""
    mean_p, cov_p, mean_q, cov_q = pair.moments
    spreads = [(units * (cov @ units)).sum(0).clamp(min=0).sqrt() for cov in (cov_p, cov_q)]
    return ((mean_p - mean_q) @ units).square() + (spreads[0] - spreads[1]).square()


def _largest_square(pair: GaussianPair) -> float:
    """The largest of these, by ascent on the sphere from the axes of both and from the difference
    of the means, with adaptive steps."""
    mean_p, cov_p, mean_q, cov_q = pair.moments
    gap = mean_p - mean_q
    middle = torch.outer(gap, gap)
    starts = [
        torch.linalg.eigh(m)[1] for m in (cov_p, cov_q, cov_p - cov_q, middle + cov_p + cov_q)
    ]
    units = torch.cat([*starts, torch.linalg.eigh(middle)[1][:, -1:]], 1)
    rate, values = torch.ones(units.shape[1], dtype=units.dtype), _squares(pair, units)
    for _ in range(500):
        with torch.enable_grad():
            at = units.detach().requires_grad_()
            (slope,) = torch.autograd.grad(_squares(pair, at).sum(), at)
        slope = slope - (slope * units).sum(0) * units
        moved = units + rate * slope / slope.norm(dim=0).clamp(min=1e-300)
        moved = moved / moved.norm(dim=0)
        new = _squares(pair, moved)
        better = new > values
        units, values = torch.where(better, moved, units), torch.where(better, new, values)
        rate = torch.where(better, 1.5 * rate, 0.5 * rate)
    return float(values.max())
