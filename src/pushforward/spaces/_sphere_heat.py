r"""The heat kernel of Brownian motion (generator half the Laplacian) on the 2-sphere.

After variance `tau` the angle `theta` from the start has the density `sin(theta) k(theta) / 2`,

    k(theta) = sum_l (2l + 1) exp(-l (l + 1) tau / 2) P_l(cos theta),

and for small `tau`, where the series needs many terms, the expansion of Molchanov (1975):
`k ~ (2 / tau) sqrt(theta / sin theta) exp(-theta^2 / (2 tau))` up to a factor that is flat to
`O(tau)`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward._random import fork, uniform
from pushforward.errors import SamplingError

__all__ = ["SMALL", "legendre", "log_kernel_slope", "sample_angle"]

# Below this variance the expansion replaces the series; there the kernel beyond 12 standard
# deviations is under the resolution of double precision.
SMALL = 0.05
_TERMS = 64
_ANGLES = 4096
_ROUNDS = 1000
"""Draws after which a step is given up: more than two in three are accepted at once."""


def legendre(u: Tensor, terms: int) -> tuple[Tensor, Tensor]:
    """Legendre polynomials `P_l(u)` and their derivatives, `l < terms`, on a new last axis.

    >>> legendre(torch.tensor([0.5]), 3)[0]
    tensor([[ 1.0000,  0.5000, -0.1250]])
    """
    p = [torch.ones_like(u), u]
    dp = [torch.zeros_like(u), torch.ones_like(u)]
    for n in range(1, terms - 1):
        p.append(((2 * n + 1) * u * p[n] - n * p[n - 1]) / (n + 1))
        dp.append((2 * n + 1) * p[n] + dp[n - 1])
    return torch.stack(p[:terms], -1), torch.stack(dp[:terms], -1)


def _modes(variance: Tensor, terms: int) -> Tensor:
    degree = torch.arange(terms, dtype=torch.float64, device=variance.device)
    return (2 * degree + 1) * torch.exp(-0.5 * degree * (degree + 1) * variance.unsqueeze(-1))


def log_kernel_slope(angle: Tensor, variance: Tensor) -> Tensor:
    """The derivative of the log heat kernel in the angle; both arguments and result `(N,)`."""
    theta, tau = angle.double(), variance.double()
    p, dp = legendre(torch.cos(theta), _TERMS)
    modes = _modes(tau.clamp_min(SMALL), _TERMS)
    kernel = (modes * p).sum(-1)
    series = -torch.sin(theta) * (modes * dp).sum(-1) / kernel.clamp_min(1e-290)
    # 1/theta - cot(theta) tends to theta/3 at 0.
    safe = theta.clamp(1e-4, math.pi - 1e-6)
    expansion = -theta / tau + 0.5 * (1 / safe - 1 / torch.tan(safe))
    # The alternating series loses the far tail of narrow kernels to cancellation.
    trusted = (tau >= SMALL) & (kernel > 1e-9 * modes.sum(-1))
    return torch.where(trusted, series, expansion).to(angle.dtype)


def sample_angle(variance: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Angles from the start after `variance`, both `(N,)`."""
    angle = torch.empty_like(variance, dtype=torch.float64)
    small = variance < SMALL
    first, second = fork(generator, small), fork(generator, ~small)
    if small.any():
        angle[small] = _reject(variance[small].double(), first)
    if not small.all():
        angle[~small] = _invert(variance[~small].double(), second)
    return angle.to(variance.dtype)


def _reject(tau: Tensor, generator: torch.Generator | None) -> Tensor:
    """Angles in a tangent plane, kept with the chance `sqrt(sin(theta) / theta)`."""
    angle = torch.full_like(tau, math.pi)
    waiting = torch.arange(len(tau), device=tau.device)
    for _ in range(_ROUNDS):
        # A row that waits draws as often as it has to, whatever the others do.
        u, accept = uniform(
            (len(waiting), 2), fork(generator, waiting), dtype=tau.dtype, device=tau.device
        ).unbind(-1)
        proposal = torch.sqrt(-2 * tau[waiting] * torch.log1p(-u))
        chance = torch.sinc(proposal / math.pi).clamp_min(0).sqrt()
        kept = (accept < chance) & (proposal < math.pi)
        angle[waiting[kept]] = proposal[kept]
        waiting = waiting[~kept]
        if not len(waiting):
            return angle
    raise SamplingError(
        f"{len(waiting)} of {len(tau)} steps on the sphere were not accepted in {_ROUNDS} draws: "
        "their variance is not a number"
    )


def _invert(tau: Tensor, generator: torch.Generator | None) -> Tensor:
    """Angles by inverting the distribution function, whose series integrates term by term."""
    grid = torch.linspace(0, math.pi, _ANGLES, dtype=tau.dtype, device=tau.device)
    p, _ = legendre(torch.cos(grid), _TERMS + 1)
    # The integral of sin(theta) P_l(cos theta) from 0 is (P_{l-1} - P_{l+1}) / (2l + 1).
    degree = torch.arange(1, _TERMS, dtype=tau.dtype, device=tau.device)
    integrals = torch.cat(
        [(1 - p[:, 1])[:, None], (p[:, :-2] - p[:, 2:]) / (2 * degree + 1)], dim=-1
    )
    u = uniform((len(tau), 1), generator, dtype=tau.dtype, device=tau.device)
    out = []
    for rows, v in zip(tau.split(1024), u.split(1024), strict=True):
        cdf = (_modes(rows, _TERMS) @ integrals.mT / 2).cummax(-1).values.contiguous()
        right = torch.searchsorted(cdf, v).clamp(1, _ANGLES - 1)
        low, high = cdf.gather(1, right - 1), cdf.gather(1, right)
        fraction = ((v - low) / (high - low).clamp_min(1e-300)).clamp(0, 1)
        out.append((grid[right - 1] + fraction * (grid[1] - grid[0])).squeeze(1))
    return torch.cat(out)
