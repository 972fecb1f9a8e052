"""Distributions of the benchmarks whose density is known, and that density."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

import pushforward as pf
from pushforward.distributions import GaussianMixture

__all__ = ["correlated", "log_density"]

COLUMNS = 5
ANGLES = 1001
"""Nodes of the integrals over the angle of a curve; its noise is far wider than their distance."""


def correlated(n: int, seed: int) -> Tensor:
    """`n` rows of five columns of several shapes, `(n, 5)`, in units as tables have them.

    Normal numbers with correlations `0.8^|i - j|`, each bent by an increasing function: a normal
    column, a log-normal one, one with heavy tails, a share, and one with two humps.
    """
    root = torch.linalg.cholesky(_correlations())
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(n, COLUMNS, generator=generator, dtype=torch.float64) @ root.mT
    bent = (
        50 + 10 * z[:, 0],
        20 * z[:, 1].exp(),
        z[:, 2].sinh(),
        z[:, 3].sigmoid(),
        z[:, 4] + torch.sin(2 * z[:, 4]) / 3,
    )
    return torch.stack(bent, 1).float()


def log_density(name: str, x: Tensor) -> Tensor | None:
    """Log-densities `(n,)` of points in nats; `None` for data whose law is not known."""
    x = x.double()
    modes = pf.data.toys.modes(name)
    if modes is not None:
        return GaussianMixture(modes.centers.double(), modes.std**2).log_prob(x)
    return _KNOWN[name](x) if name in _KNOWN else None


def _correlations() -> Tensor:
    place = torch.arange(COLUMNS, dtype=torch.float64)
    return 0.8 ** (place - place[:, None]).abs()


def _correlated(x: Tensor) -> Tensor:
    # Newton's method finds what the last function was taken of; its slope is at least 1/3.
    low, high = x[:, 4] - 1, x[:, 4] + 1
    for _ in range(60):
        middle = (low + high) / 2
        under = middle + torch.sin(2 * middle) / 3 < x[:, 4]
        low, high = torch.where(under, middle, low), torch.where(under, high, middle)
    last = (low + high) / 2
    share = x[:, 3].clamp(1e-7, 1 - 1e-7)
    z = torch.stack(
        [(x[:, 0] - 50) / 10, (x[:, 1] / 20).log(), x[:, 2].asinh(), share.logit(), last], 1
    )
    slopes = torch.stack(
        [
            torch.full_like(last, 10.0),
            x[:, 1],
            (1 + x[:, 2] ** 2).sqrt(),
            share * (1 - share),
            1 + 2 * torch.cos(2 * last) / 3,
        ],
        1,
    )
    normal = torch.distributions.MultivariateNormal(torch.zeros(COLUMNS).double(), _correlations())
    return normal.log_prob(z) - slopes.log().sum(1)


def _checkerboard(x: Tensor) -> Tensor:
    cells = (x / 2).floor()
    inside = (cells.sum(1) % 2 == 0) & (x.abs() <= 4).all(1)
    return torch.where(inside, -math.log(32), -math.inf)


def _curve(points: Tensor, std: float, x: Tensor) -> Tensor:
    """Log-densities of noise around points that are taken alike, ends of a curve by half."""
    squares = torch.cdist(x, points).square()
    weights = torch.ones(len(points), dtype=torch.float64)
    weights[[0, -1]] = 0.5
    kernels = -squares / (2 * std**2) + weights.log() - weights.sum().log()
    return kernels.logsumexp(1) - math.log(2 * math.pi * std**2)


def _two_moons(x: Tensor) -> Tensor:
    a = torch.linspace(0, math.pi, ANGLES, dtype=torch.float64)
    upper = torch.stack([a.cos(), a.sin()], 1)
    lower = torch.stack([1 - a.cos(), 0.5 - a.sin()], 1)
    both = torch.stack([_curve(upper, 0.1, x), _curve(lower, 0.1, x)])
    return both.logsumexp(0) - math.log(2)


def _swiss_roll(x: Tensor) -> Tensor:
    a = torch.linspace(1.5 * math.pi, 4.5 * math.pi, ANGLES, dtype=torch.float64)
    return _curve(a[:, None] * torch.stack([a.cos(), a.sin()], 1) / 5, 0.2, x)


def _pinwheel(x: Tensor) -> Tensor:
    """By change of variables: every `r` that the point could have come from, on a fine grid."""
    r = torch.linspace(-1, 3, 1001, dtype=torch.float64)
    found = torch.zeros(len(x), dtype=torch.float64)
    for k in range(5):
        turn = torch.stack([_blade(k, r).cos(), _blade(k, r).sin()])
        gap = r - x @ turn / 2
        rows, nodes = (gap[:, :-1].sign() != gap[:, 1:].sign()).nonzero(as_tuple=True)
        share = gap[rows, nodes] / (gap[rows, nodes] - gap[rows, nodes + 1])
        root = r[nodes] + share * (r[1] - r[0])
        angle = _blade(k, root)
        s = (x[rows, 1] * angle.cos() - x[rows, 0] * angle.sin()) / 2
        normal = torch.exp(-(((root - 1) / 0.3) ** 2 + (s / 0.1) ** 2) / 2) / (2 * math.pi * 0.03)
        # The area of a step in r and s: what bends the blade also stretches it.
        found.index_add_(0, rows, normal / (4 * (1 - s * root.exp() / 4).abs()))
    return (found / 5).log()


def _blade(k: int, r: Tensor) -> Tensor:
    return 2 * math.pi * k / 5 + r.exp() / 4


_KNOWN: dict[str, Callable[[Tensor], Tensor]] = {
    "correlated": _correlated,
    "checkerboard": _checkerboard,
    "two_moons": _two_moons,
    "swiss_roll": _swiss_roll,
    "pinwheel": _pinwheel,
}
