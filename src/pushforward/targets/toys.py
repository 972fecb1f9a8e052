"""Targets in closed form, on which samplers fail in known ways."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import torch
from torch import Tensor

from pushforward._random import categories, normal, resolve, uniform
from pushforward.checks import positive, whole
from pushforward.distributions import Normal
from pushforward.errors import InputError
from pushforward.targets.target import Target, TargetReference

__all__ = ["banana", "funnel", "many_well", "mixture_of_40", "multi_well", "student"]

_LOG_2PI = math.log(2 * math.pi)
_DOUBLE = torch.float64

_EXACT = "normalized by construction"
_BY_QUADRATURE = "quadrature of each double well on the line, 40001 points"


def funnel(dim: int = 10, scale: float = 3.0) -> Target:
    """Neal's funnel: `x_0 ~ N(0, scale^2)`, the others `N(0, exp(x_0))` given it (Neal 2003).

    Two conventions go by the one name: `scale=3` (`"funnel"`), and `scale=1` (`"funnel-1"`), which
    is much easier. `exp(x_0)` is the variance, not the deviation.

    >>> funnel().event_shape, funnel().reference.log_z
    ((10,), 0.0)
    """
    whole("dim", dim, least=2)
    positive("scale", scale)

    def log_prob(x: Tensor) -> Tensor:
        neck, rest = x[:, 0], x[:, 1:]
        first = -0.5 * (neck / scale).square() - math.log(scale)
        second = -0.5 * (rest.square().sum(-1) * (-neck).exp() + (dim - 1) * neck)
        return first + second - 0.5 * dim * _LOG_2PI

    def sample(n: int, *, seed: int | None = None, generator: Any = None) -> Tensor:
        noise = normal((n, dim), resolve(seed, generator, rows=n), dtype=_DOUBLE)
        neck = scale * noise[:, :1]
        return torch.cat([neck, (neck / 2).exp() * noise[:, 1:]], 1)

    # E exp(x_0) = exp(scale^2 / 2).
    std = torch.full((dim,), math.exp(scale**2 / 4), dtype=_DOUBLE)
    std[0] = scale
    mean = torch.zeros(dim, dtype=_DOUBLE)
    return Target(
        log_prob, dim, sample=sample, name="funnel" if scale == 3 else f"funnel of scale {scale:g}",
        base=Normal((dim,), dtype=_DOUBLE),
        reference=TargetReference(0.0, 0.0, _EXACT, mean, std, "closed form"),
    )  # fmt: skip


def banana(dim: int = 2, scale: float = 10.0, bend: float = 0.03) -> Target:
    """A normal law bent along a parabola (Haario et al. 1999).

    `x_0 ~ N(0, scale^2)`, `x_1 = y + bend (x_0^2 - scale^2)` with `y ~ N(0, 1)`, the others
    standard normal.

    >>> float(banana().reference.std[1].square().round())
    19.0
    """
    whole("dim", dim, least=2)
    positive("scale", scale)

    def log_prob(x: Tensor) -> Tensor:
        y = x[:, 1] - bend * (x[:, 0].square() - scale**2)
        rest = x[:, 2:].square().sum(-1)
        quadratic = (x[:, 0] / scale).square() + y.square() + rest
        return -0.5 * (quadratic + dim * _LOG_2PI) - math.log(scale)

    def sample(n: int, *, seed: int | None = None, generator: Any = None) -> Tensor:
        x = normal((n, dim), resolve(seed, generator, rows=n), dtype=_DOUBLE)
        first = scale * x[:, 0]
        second = x[:, 1] + bend * (first.square() - scale**2)
        return torch.cat([first[:, None], second[:, None], x[:, 2:]], 1)

    std = torch.ones(dim, dtype=_DOUBLE)
    std[0], std[1] = scale, math.sqrt(1 + 2 * bend**2 * scale**4)
    mean = torch.zeros(dim, dtype=_DOUBLE)
    return Target(
        log_prob, dim, sample=sample, name="banana", base=Normal((dim,), 10.0, dtype=_DOUBLE),
        reference=TargetReference(0.0, 0.0, _EXACT, mean, std, "closed form"),
    )  # fmt: skip


def student(dim: int = 10, freedom: float = 5.0) -> Target:
    """A spherical t law with `freedom > 2` degrees of freedom: tails heavier than any normal's.

    >>> round(float(student(1, 3.0)(torch.zeros(1, 1))), 4)
    -1.0009
    """
    whole("dim", dim)
    if not positive("freedom", freedom) > 2:
        raise InputError(f"freedom is above 2, where variances exist, not {freedom}")
    constant = (
        math.lgamma((freedom + dim) / 2)
        - math.lgamma(freedom / 2)
        - 0.5 * dim * math.log(freedom * math.pi)
    )

    def log_prob(x: Tensor) -> Tensor:
        return constant - (freedom + dim) / 2 * torch.log1p(x.square().sum(-1) / freedom)

    def sample(n: int, *, seed: int | None = None, generator: Any = None) -> Tensor:
        noise = resolve(seed, generator, rows=n)
        x = normal((n, dim), noise, dtype=_DOUBLE)
        # A chi-squared number by its quantile is not in torch; by rejection rows would not be on
        # their own: halves of even degrees are sums of logarithms, an odd one adds a square.
        pairs, odd = divmod(int(freedom), 2)
        if freedom != int(freedom):
            raise InputError(f"exact draws need whole degrees of freedom, not {freedom}")
        u = 1 - uniform((n, max(pairs, 1)), noise, dtype=_DOUBLE)
        chi = -2 * u.log().sum(1) if pairs else torch.zeros(n, dtype=_DOUBLE)
        if odd:
            chi = chi + normal((n, 1), noise, dtype=_DOUBLE)[:, 0].square()
        return x * (freedom / chi).sqrt()[:, None]

    std = torch.full((dim,), math.sqrt(freedom / (freedom - 2)), dtype=_DOUBLE)
    return Target(
        log_prob, dim, sample=sample, name="student", base=Normal((dim,), 2.0, dtype=_DOUBLE),
        reference=TargetReference(
            0.0, 0.0, _EXACT, torch.zeros(dim, dtype=_DOUBLE), std, "closed form"
        ),
    )  # fmt: skip


_MEANS = {
    2: "5a2a3a15",
    50: "599bf6b2",
}
"""The first digits of the SHA-256 of the means in single precision, by dimension."""


def mixture_of_40(dim: int = 2, scale: float = 1.0) -> Target:
    """Forty equal normal laws with means uniform on `[-40, 40]^d`.

    Published mixtures of this name have other means for each library and version; these come from
    a generator of torch with seed 0, and `_MEANS` holds their hash, which is checked.

    >>> mixture_of_40().modes.shape
    torch.Size([40, 2])
    """
    whole("dim", dim)
    positive("scale", scale)
    generator = torch.Generator().manual_seed(0)
    means = 80 * torch.rand(40, dim, generator=generator, dtype=torch.float32) - 40
    found = hashlib.sha256(means.numpy().tobytes()).hexdigest()[:8]
    if dim in _MEANS and found != _MEANS[dim]:
        raise InputError(
            f"the means of the mixture are not those that results are stated for: their hash is "
            f"{found}, not {_MEANS[dim]}; this version of torch draws other numbers"
        )
    centers = means.double()

    def log_prob(x: Tensor) -> Tensor:
        gap = torch.cdist(x, centers.to(x), compute_mode="donot_use_mm_for_euclid_dist")
        each = -0.5 * (gap / scale).square()
        return each.logsumexp(1) - math.log(40) - dim * (math.log(scale) + 0.5 * _LOG_2PI)

    def sample(n: int, *, seed: int | None = None, generator: Any = None) -> Tensor:
        noise = resolve(seed, generator, rows=n)
        which = categories(torch.ones(40), n, noise)
        return centers[which] + scale * normal((n, dim), noise, dtype=_DOUBLE)

    std = (centers.var(0, unbiased=False) + scale**2).sqrt()
    return Target(
        log_prob, dim, sample=sample, name=f"mixture-40 in {dim} dimensions", modes=centers,
        base=Normal((dim,), 25.0, dtype=_DOUBLE),
        reference=TargetReference(0.0, 0.0, _EXACT, centers.mean(0), std, "closed form"),
    )  # fmt: skip


def _wells(energy: Any, reach: float) -> tuple[float, float, float, Tensor, Tensor]:
    """`log Z`, mean and deviation of `exp(-energy)` on the line, and its distribution function.

    The trapezoidal rule, which is exact to rounding for functions that vanish at both ends.
    """
    grid = torch.linspace(-reach, reach, 40001, dtype=_DOUBLE)
    density = (-energy(grid)).exp()
    width = float(grid[1] - grid[0])
    z = float(density.sum()) * width
    mean = float((density * grid).sum()) * width / z
    second = float((density * grid.square()).sum()) * width / z
    # Sums of trapezoids, so that inversion is linear between points of the grid.
    steps = 0.5 * (density[1:] + density[:-1]) * width / z
    below = torch.cat([torch.zeros(1, dtype=_DOUBLE), steps.cumsum(0)])
    return math.log(z), mean, math.sqrt(second - mean**2), grid, below


def _inverted(u: Tensor, grid: Tensor, below: Tensor) -> Tensor:
    """Quantiles of a distribution function that is given on a grid."""
    k = torch.searchsorted(below, u).clamp(1, len(grid) - 1)
    left, right = below[k - 1], below[k]
    share = (u - left) / (right - left).clamp(min=1e-300)
    return grid[k - 1] + share * (grid[k] - grid[k - 1])


def many_well(pairs: int = 16) -> Target:
    """Independent pairs with the energy `x^4 - 6 x^2 - x / 2 + y^2 / 2` (Midgley et al. 2023).

    `2^pairs` modes of unequal weight; 16 pairs are the usual ones, with `log Z = 164.695675`.

    >>> round(many_well().reference.log_z, 6)
    164.695675
    """
    whole("pairs", pairs)

    def energy(x: Tensor) -> Tensor:
        return x.pow(4) - 6 * x.square() - 0.5 * x

    log_z, mean, std, grid, below = _wells(energy, 6.0)

    def log_prob(x: Tensor) -> Tensor:
        return -energy(x[:, ::2]).sum(-1) - 0.5 * x[:, 1::2].square().sum(-1)

    def sample(n: int, *, seed: int | None = None, generator: Any = None) -> Tensor:
        noise = resolve(seed, generator, rows=n)
        u = uniform((n, pairs), noise, dtype=_DOUBLE)
        y = normal((n, pairs), noise, dtype=_DOUBLE)
        return torch.stack([_inverted(u, grid, below), y], -1).flatten(1)

    reference = TargetReference(
        pairs * (log_z + 0.5 * _LOG_2PI), 0.0, _BY_QUADRATURE,
        torch.tensor([mean, 0.0], dtype=_DOUBLE).repeat(pairs),
        torch.tensor([std, 1.0], dtype=_DOUBLE).repeat(pairs), _BY_QUADRATURE,
    )  # fmt: skip
    return Target(
        log_prob, 2 * pairs, sample=sample, name=f"many-well of {pairs} pairs",
        base=Normal((2 * pairs,), 2.0, dtype=_DOUBLE), reference=reference,
    )  # fmt: skip


_LISTED = 10
"""Wells whose combinations, `2^wells` modes, are written down."""


def _corners(dim: int, count: int, half: float) -> Tensor:
    """The corners of a cube of the side `2 half` in the first `count` of `dim` numbers."""
    signs = torch.cartesian_prod(*[torch.tensor([-half, half], dtype=_DOUBLE)] * count)
    return torch.nn.functional.pad(signs.view(-1, count), (0, dim - count))


def multi_well(dim: int = 5, wells: int = 5, depth: float = 4.0) -> Target:
    """`-log p = sum_(i <= wells) (x_i^2 - depth)^2 + sum_(i > wells) x_i^2 / 2` up to a constant.

    Published as `MW(dim, wells, depth)` (Berner, Richter & Ullrich 2024).

    >>> round(multi_well().reference.log_z, 6), round(multi_well(50, 5, 2).reference.log_z, 6)
    (-0.541056, 42.817243)
    """
    whole("dim", dim)
    if whole("wells", wells) > dim:
        raise InputError(f"wells are at most the {dim} dimensions, not {wells}")
    positive("depth", depth)

    def energy(x: Tensor) -> Tensor:
        return (x.square() - depth).square()

    log_z, mean, std, grid, below = _wells(energy, math.sqrt(depth) + 5.0)

    def log_prob(x: Tensor) -> Tensor:
        return -energy(x[:, :wells]).sum(-1) - 0.5 * x[:, wells:].square().sum(-1)

    def sample(n: int, *, seed: int | None = None, generator: Any = None) -> Tensor:
        noise = resolve(seed, generator, rows=n)
        x = _inverted(uniform((n, wells), noise, dtype=_DOUBLE), grid, below)
        if dim == wells:
            return x
        return torch.cat([x, normal((n, dim - wells), noise, dtype=_DOUBLE)], 1)

    means, stds = torch.zeros(dim, dtype=_DOUBLE), torch.ones(dim, dtype=_DOUBLE)
    means[:wells], stds[:wells] = mean, std
    total = wells * log_z + 0.5 * (dim - wells) * _LOG_2PI
    return Target(
        log_prob, dim, sample=sample, name=f"many-well ({dim}, {wells}, {depth:g})",
        modes=_corners(dim, wells, math.sqrt(depth)) if wells <= _LISTED else None,
        base=Normal((dim,), 2.0, dtype=_DOUBLE),
        reference=TargetReference(total, 0.0, _BY_QUADRATURE, means, stds, _BY_QUADRATURE),
    )  # fmt: skip
