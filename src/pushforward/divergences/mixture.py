r"""Divergences of two Gaussian mixtures: integrals over one or two dimensions, means of kernels.

Cells of the integrals are cut where components begin and end, so that none is missed between nodes
however narrow it is beside the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward._roots import increasing_root
from pushforward.discrepancies import Alpha, FDivergence, Pearson
from pushforward.distributions import GaussianMixture
from pushforward.divergences.given import MixturePair
from pushforward.divergences.integrand import against_mixture
from pushforward.divergences.quadrature import Quadrature, integrate

__all__ = [
    "cdf",
    "energy_distance",
    "f_divergence",
    "fisher_divergence",
    "mmd",
    "wasserstein_1",
    "wasserstein_2",
]

_LINE = (-14.0, -9.0, -6.0, -3.5, -1.5, 0.0, 1.5, 3.5, 6.0, 9.0, 14.0)
_PLANE = (-10.0, -5.0, -2.0, 0.0, 2.0, 5.0, 10.0)
_TOLERANCE = {1: 1e-10, 2: 1e-7}
_MOST_CELLS = 40_000
"""Cells to begin with, beyond which draws are quicker."""

Gaussians = tuple[Tensor, Tensor]
"""Means `(K, d)` and covariances `(K, d, d)`."""


def f_divergence(pair: MixturePair, divergence: FDivergence) -> Quadrature | None:
    """`int m g(log p / q)` in one or two dimensions; `None` where draws have to do.

    Powers of `p / q` outside of `[0, 1]` may have no finite integral: infinite is what is proved to
    be.
    """
    p, q = _components(pair.p), _components(pair.q)
    components = [p, q]
    if pair.dimension > 2:
        return None
    power = _power(divergence)
    if power is not None and not 0 <= power <= 1:
        if _grows(p, q, power):
            return Quadrature(math.inf, 0.0, True)
        tilted = _tilted(p, q, power)
        if tilted is None:
            return None
        components.append(tilted)

    def integrand(x: Tensor) -> Tensor:
        log_p, log_q = pair.p.log_prob(x), pair.q.log_prob(x)
        half = torch.logaddexp(log_p, log_q) - math.log(2)
        return half.exp() * against_mixture(divergence, log_p - log_q)

    edges = _edges(pair.dimension, components)
    if edges is None:
        return None
    return integrate(integrand, *edges, tolerance=_TOLERANCE[pair.dimension])


def fisher_divergence(pair: MixturePair) -> Quadrature | None:
    """`int p |grad log p - grad log q|^2` in one or two dimensions; `None` as above."""

    def integrand(x: Tensor) -> Tensor:
        gap = (pair.p.score(x) - pair.q.score(x)).square().sum(1)
        return pair.p.log_prob(x).exp() * gap

    edges = _edges(pair.dimension, [_components(z) for z in (pair.p, pair.q)])
    if edges is None:
        return None
    return integrate(integrand, *edges, tolerance=_TOLERANCE[pair.dimension])


def wasserstein_1(pair: MixturePair) -> Quadrature:
    """`W_1 = int |F - G|` on the line (Vallender 1974)."""
    return integrate(
        lambda x: (cdf(pair.p, x[:, 0]) - cdf(pair.q, x[:, 0])).abs(), _line(pair), tolerance=1e-9
    )


def wasserstein_2(pair: MixturePair) -> Quadrature:
    """`W_2^2 = int p(x) (x - G^-1(F(x)))^2` on the line."""
    line = _line(pair)
    low, high = line[0], line[-1]

    def integrand(x: Tensor) -> Tensor:
        at = x[:, 0]
        # From the nearer tail, where the probability has all its digits.
        below, above = cdf(pair.p, at), cdf(pair.p, at, upper=True)
        from_below = below < 0.5

        def gap(y: Tensor) -> Tensor:
            return torch.where(
                from_below, cdf(pair.q, y) - below, above - cdf(pair.q, y, upper=True)
            )

        y = increasing_root(gap, low.expand_as(at), high.expand_as(at))
        return pair.p.log_prob(x).exp() * (at - y).square()

    return integrate(integrand, line, tolerance=1e-9)


def cdf(mixture: GaussianMixture, x: Tensor, *, upper: bool = False) -> Tensor:
    """The probability of what is at most `x` `(n,)`, or of what is above, on the line.

    >>> one = GaussianMixture(torch.zeros(1, 1), 1.0)
    >>> cdf(one, torch.tensor([0.0]))
    tensor([0.5000])
    """
    z = (x[:, None] - mixture.means[:, 0]) / mixture.variances[:, 0].sqrt()
    z = -z if upper else z
    return 0.5 * torch.special.erfc(-z / math.sqrt(2)) @ mixture.weights


def mmd(pair: MixturePair, bandwidths: Sequence[float]) -> float:
    """The squared MMD of the kernel of `metrics.mmd`, in any dimension."""
    d = pair.dimension

    def mean_kernel(shift: Tensor, spread: Tensor) -> Tensor:
        total = torch.zeros(len(shift), dtype=shift.dtype)
        for width in bandwidths:
            wide = spread + width**2 * torch.eye(d, dtype=shift.dtype)
            root = torch.linalg.cholesky(wide)
            white = torch.linalg.solve_triangular(root, shift[..., None], upper=False)[..., 0]
            log_det = root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
            total += (d * math.log(width) - log_det - 0.5 * white.square().sum(-1)).exp()
        return total / len(bandwidths)

    weights, shift, spread = _differences(pair)
    return float(-weights @ mean_kernel(shift, spread))


def energy_distance(pair: MixturePair) -> Quadrature:
    r"""`2 E|X - Y| - E|X - X'| - E|Y - Y'|`, in any dimension.

    By `E|Z| = int_0^inf (1 - E e^(-t |Z|^2)) t^(-3/2) dt / (2 sqrt pi)`, in which the ones cancel
    and the expectation is a product over the axes of a normal distribution.
    """
    weights, shift, spread = _differences(pair)
    variances, axes = torch.linalg.eigh(spread)
    variances = variances.clamp(min=0)
    squares = (axes.mT @ shift[..., None])[..., 0].square()
    size = float((variances.sum(-1) + squares.sum(-1)).max())
    # Both ends of the integral, in the logarithm of t, have decayed to rounding.
    edges = torch.linspace(-75.0, 75.0, 61, dtype=torch.float64) - math.log(size)

    def integrand(log_t: Tensor) -> Tensor:
        t = log_t[:, :1].exp()[..., None]
        wide = 1 + 2 * t * variances
        logs = (-0.5 * wide.log() - t * squares / wide).sum(-1)
        return -(torch.expm1(logs) @ weights) * (-0.5 * log_t[:, 0]).exp()

    found = integrate(integrand, edges, tolerance=1e-10)
    factor = 0.5 / math.sqrt(math.pi)
    return Quadrature(factor * found.value, factor * found.error, found.converged)


def _components(mixture: GaussianMixture) -> Gaussians:
    return mixture.means, mixture.component_covariances


def _differences(pair: MixturePair) -> tuple[Tensor, Tensor, Tensor]:
    """Weights `(L,)`, means and covariances of `X - Y` twice, less those of `X - X'`, `Y - Y'`."""
    parts = []
    for left, right, sign in (
        (pair.p, pair.q, 2.0), (pair.p, pair.p, -1.0), (pair.q, pair.q, -1.0)
    ):  # fmt: skip
        weights = sign * torch.outer(left.weights, right.weights).flatten()
        shift = (left.means[:, None] - right.means).flatten(0, 1)
        spread = left.component_covariances[:, None] + right.component_covariances
        parts.append((weights, shift, spread.flatten(0, 1)))
    weights, shift, spread = (torch.cat(part) for part in zip(*parts, strict=True))
    return weights, shift, spread


def _line(pair: MixturePair) -> Tensor:
    edges = _edges(1, [_components(z) for z in (pair.p, pair.q)])
    assert edges is not None
    return edges[0]


def _edges(d: int, components: Sequence[Gaussians]) -> tuple[Tensor, ...] | None:
    """Where to cut each axis; `None` for more than two, or for too many cells."""
    if d > 2:
        return None
    steps = torch.tensor(_LINE if d == 1 else _PLANE, dtype=torch.float64)
    means, covariances = (torch.cat(part) for part in zip(*components, strict=True))
    spreads = covariances.diagonal(dim1=-2, dim2=-1).sqrt()
    cuts = (means[:, None] + spreads[:, None] * steps[:, None]).flatten(0, 1)
    edges = tuple(_apart(axis.sort().values) for axis in cuts.unbind(1))
    return edges if math.prod(len(e) - 1 for e in edges) <= _MOST_CELLS else None


def _apart(edges: Tensor) -> Tensor:
    """Sorted numbers without those that are the same up to rounding."""
    least = 1e-12 * float(edges[-1] - edges[0])
    kept = torch.cat([torch.tensor([True]), edges.diff() > least])
    return edges[kept]


def _power(divergence: FDivergence) -> float | None:
    """The power of `p / q` that a divergence is the mean of."""
    if isinstance(divergence, Pearson):
        return 2.0
    return divergence.alpha if isinstance(divergence, Alpha) else None


def _tilted(p: Gaussians, q: Gaussians, power: float) -> Gaussians | None:
    """For each component of the mixture with a positive power, the normal distribution that its
    power makes with that component of the other beside which it decays fastest.

    `None` if one decays beside none.
    """
    above, below, a = (p, q, power) if power > 1 else (q, p, 1 - power)
    precisions = [torch.linalg.inv(covariances) for _, covariances in (above, below)]
    found = []
    for mean, own in zip(above[0], precisions[0], strict=True):
        left = a * own + (1 - a) * precisions[1]
        lowest, best = torch.linalg.eigvalsh(left)[:, 0].max(0)
        if not float(lowest) > 1e-12 * float(own.abs().max()):
            return None
        pull = a * own @ mean + (1 - a) * precisions[1][best] @ below[0][best]
        covariance = torch.linalg.inv(left[best])
        found.append((covariance @ pull, covariance))
    means, covariances = (torch.stack(part) for part in zip(*found, strict=True))
    return means, covariances


def _grows(p: Gaussians, q: Gaussians, power: float) -> bool:
    """Whether `p^a q^(1-a)` does not decay along some ray, so that its integral is infinite."""
    above, below, a = (p, q, power) if power > 1 else (q, p, 1 - power)
    angle = torch.linspace(0, math.pi, 361, dtype=torch.float64)
    rays = torch.stack([angle.cos(), angle.sin()], 1)[:, : above[0].shape[1]]
    rays = rays / rays.norm(dim=1, keepdim=True)
    # The component that reaches farthest along a ray is all that counts there.
    reach = [
        torch.einsum("ri,kij,rj->rk", rays, torch.linalg.inv(covariances), rays).amin(1)
        for _, covariances in (above, below)
    ]
    return bool((a * reach[0] + (1 - a) * reach[1] <= 0).any())
