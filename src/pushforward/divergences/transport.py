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
    drawn,
    on_draws,
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
_ROUNDING = 1e-12
"""Of a mean cost, in the variances of both."""
_UPWARDS = "upwards: finite sets lie apart, see the floor"


def wasserstein(p: Any, q: Any, *, order: int = 2, n: int = _MOST, seed: int = 0) -> Divergence:
    r"""`W_k = (min E |X - Y|^k)^(1/k)` over all couplings, for `order` 1 or 2, in units of states.

    Closed for two normal distributions (order 2), an integral for Gaussian mixtures on a line; of
    samples the distance itself, of at most 2000 random points of each set, and of other
    distributions that of `n` draws of each. Its error is that of the Kantorovich potentials
    (del Barrio & Loubes 2019): chance alone, beside a bias of about `n^(-1/d)`.

    Raises `CapabilityError` for tables and what cannot be sampled, `InputError` for another order.

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
        typical = floor(lambda a, b: _between(a, b, order)[0], x, y, seed=seed, slow=True)
        return Divergence(value, stderr, "plan", _UPWARDS, *typical, min(len(x), len(y)))
    if not isinstance(pair, MixturePair) or pair.dimension > 1:
        draws = drawn("the Wasserstein distance", pair, n, seed)
        return on_draws(wasserstein(draws.x, draws.y, order=order, seed=seed))
    found = mixture.wasserstein_1(pair) if order == 1 else mixture.wasserstein_2(pair)
    value = max(found.value, 0.0) ** (1 / order)
    error = found.error / (order * value ** (order - 1)) if value > 0 else found.error
    return Divergence(value, error, "integral", converged=found.converged)


def sliced_wasserstein(
    p: Any, q: Any, *, directions: int = 128, n: int = _MOST, seed: int = 0
) -> Divergence:
    r"""`SW_2`, the root of the mean of `W_2^2` over lines; times `sqrt d` it compares with `W_2`.

    Exact for two normal distributions (`gaussian.sliced_wasserstein`); from samples that of
    `metrics.sliced_wasserstein`, along random `directions`, and for other distributions that of `n`
    draws of each. Raises `CapabilityError` for tables and what cannot be sampled.

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
    if isinstance(pair, GaussianPair):
        return Divergence(gaussian.sliced_wasserstein(*pair.moments), 0.0, "closed form")
    draws = drawn("the sliced Wasserstein distance", pair, n, seed)
    return on_draws(sliced_wasserstein(draws.x, draws.y, directions=directions, seed=seed))


def max_sliced_wasserstein(p: Any, q: Any, *, n: int = _MOST, seed: int = 0) -> Divergence:
    r"""`W_2` along the line on which it is largest (Deshpande et al. 2019).

    Exact for two normal distributions (`gaussian.max_sliced_wasserstein`). From samples along
    `ot.max_sliced_direction`, with the error on that line, and for other distributions from `n`
    draws of each. Raises `CapabilityError` for tables and what cannot be sampled.

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
        typical = floor(lambda x, y: value(x, y).value, pair.x, pair.y, seed=seed, slow=True)
        return Divergence(found.value, found.stderr, "best line", _UPWARDS, *typical, pair.size)
    if isinstance(pair, GaussianPair):
        return Divergence(gaussian.max_sliced_wasserstein(*pair.moments), 0.0, "closed form")
    draws = drawn("the largest Wasserstein distance on a line", pair, n, seed)
    return on_draws(max_sliced_wasserstein(draws.x, draws.y, seed=seed))


def sinkhorn_divergence(
    p: Any, q: Any, *, epsilon: float, n: int = _MOST, seed: int = 0
) -> Divergence:
    r"""`OT(p, q) - OT(p, p) / 2 - OT(q, q) / 2` with the entropic costs of `ot.sinkhorn`.

    The cost is `|x - y|^2`, `epsilon` is in its units, and the entropy is in the value, so that it
    is never negative and 0 for equal distributions alone (Feydy et al. 2019). Closed for two
    normal distributions (Janati et al. 2020); of samples, of at most 2000 random points of each
    set, with the error of the potentials, and of other distributions from `n` draws of each. Raises
    `CapabilityError` for tables and what cannot be sampled.

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
        draws = drawn("the Sinkhorn divergence", pair, n, seed)
        return on_draws(sinkhorn_divergence(draws.x, draws.y, epsilon=epsilon, seed=seed))
    x, y = _few(pair, seed)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", ConvergenceWarning)
        value, stderr = _debiased(x, y, epsilon)
        typical = floor(
            lambda a, b: float(ot.sinkhorn_divergence(a, b, epsilon)), x, y, seed=seed, slow=True
        )
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
    cost = float(plan.cost)
    # Points that coincide lie at rounding error from each other.
    cost = cost if cost > _ROUNDING * float(x.var(0).sum() + y.var(0).sum()) ** (order / 2) else 0.0
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
