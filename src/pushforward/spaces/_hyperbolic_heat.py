r"""The heat kernel of Brownian motion (generator half the Laplacian) on `H^2` and `H^3`.

After variance `t`, at the distance `r`, per unit of volume (McKean 1970; Davies 1989):

    H^3:  (2 pi t)^{-3/2} (r / sinh r) exp(-t / 2 - r^2 / (2 t))
    H^2:  sqrt(2) (2 pi t)^{-3/2} exp(-t / 8)
              int_r^inf s exp(-s^2 / (2 t)) / sqrt(cosh s - cosh r) ds.

With `s^2 = r^2 + y^2` the integral is `exp(-r^2 / 2t)` times one of `exp(-y^2 / 2t)` times
`h(y) = y / sqrt(cosh s - cosh r)`, which is analytic and even, with no singularity nearer to the
real axis than `2 pi`: Gauss's rule for the normal weight converges geometrically.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from pushforward._precision import in_double, widest
from pushforward._random import fork, normal, uniform
from pushforward.errors import SamplingError
from pushforward.spaces._smooth import sinhc

__all__ = ["KNOWN", "LONGEST", "log_kernel", "sample_radius"]

KNOWN = (2, 3)
"""The dimensions of which the kernel is known here."""

LONGEST = 1.5
"""The variance up to which distances in the plane are drawn at once."""
_ROUNDS = 1000
# The nodes of the even half of Gauss-Hermite's rule for the weight exp(-z^2 / 2).
_NODES, _WEIGHTS = (a[40:] for a in np.polynomial.hermite_e.hermegauss(80))


def log_kernel(radius: Tensor, variance: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """The log heat kernel per unit of volume and its derivative in the distance, all `(N,)`.

    >>> value, _ = log_kernel(torch.zeros(1), torch.ones(1), 3)
    >>> round(value.item() + 1.5 * math.log(2 * math.pi), 6)
    -0.5
    """
    r, t = in_double(radius), in_double(variance)
    value, slope = _three(r, t) if dim == 3 else _two(r, t)
    return value.to(radius), slope.to(radius)


def _three(r: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    small = r < 1e-3
    safe = torch.where(small, 1.0, r)
    gap = torch.where(small, -r / 3, 1 / safe - 1 / torch.tanh(safe))
    flat = -0.5 * r.square() / t - 1.5 * torch.log(2 * math.pi * t)
    return flat - 0.5 * t - _log_sinhc(r), gap - r / t


def _two(r: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    total, change = _integral(r, t)
    flat = -0.5 * r.square() / t - 1.5 * torch.log(2 * math.pi * t) + 0.5 * math.log(2)
    return flat - t / 8 + 0.5 * t.log() + total.log(), change / total - r / t


def _integral(r: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """`int_0^inf exp(-z^2 / 2) h(sqrt(t) z) dz` and its derivative in `r`."""
    z, weight = (torch.from_numpy(a).to(r) for a in (_NODES, _WEIGHTS))
    square = t.unsqueeze(-1) * z.square()
    own = r.unsqueeze(-1)
    s = (own.square() + square).sqrt()
    total = s + own
    # (cosh s - cosh r) / y^2, without the difference of large numbers.
    apart = sinhc(0.5 * square / total) * torch.sinh(0.5 * total) / total
    change = own * (sinhc(s) - sinhc(own)) / square
    h = apart.rsqrt()
    return (weight * h).sum(-1), -0.5 * (weight * h / apart * change).sum(-1)


def sample_radius(
    variance: Tensor, generator: torch.Generator | None = None, dim: int = 2
) -> Tensor:
    """Distances from the start after `variance`, both `(N,)`, exactly.

    In three dimensions the density `r sinh(r) exp(-r^2 / 2t)` is that of the length of a normal
    vector of variance `t` whose mean has the length `t`. In two a Rayleigh variable proposes.
    """
    if dim == 2:
        return _reject(variance, generator).to(variance)
    t, device = in_double(variance), variance.device
    noise = in_double(normal((len(t), 3), generator, dtype=widest(device), device=device))
    shift = torch.nn.functional.pad(t.unsqueeze(-1), (0, 2))
    return torch.linalg.vector_norm(shift + t.sqrt().unsqueeze(-1) * noise, dim=-1).to(variance)


def _reject(variance: Tensor, generator: torch.Generator | None) -> Tensor:
    """The density on the plane, below `r exp(-r^2 / 2t + r^2 / 12)`: `sinh r <= r exp(r^2 / 6)`,
    and `h` falls from `sqrt(2 r / sinh r)`."""
    # Rows that do not move get a step all the same.
    t, device = in_double(variance).clamp_min(1e-30), variance.device
    found = torch.zeros_like(t)
    waiting = torch.arange(len(t), device=t.device)
    for _ in range(_ROUNDS):
        own = t[waiting]
        source = fork(generator, waiting.to(device))
        drawn = uniform((len(waiting), 2), source, dtype=widest(device), device=device)
        u, accept = in_double(drawn).unbind(-1)
        r = torch.sqrt(-2 * torch.log1p(-u) / (1 / own - 1 / 6))
        total, _ = _integral(r, own)
        chance = total.log() - 0.5 * math.log(math.pi) + _log_sinhc(r) - r.square() / 12
        kept = accept.log() < chance
        found[waiting[kept]] = r[kept]
        waiting = waiting[~kept]
        if not len(waiting):
            return found
    raise SamplingError(
        f"{len(waiting)} of {len(t)} steps in the hyperbolic plane were not accepted in {_ROUNDS} "
        "draws: their variance is not a number"
    )


def _log_sinhc(r: Tensor) -> Tensor:
    return sinhc(r.clamp_max(30)).log() + (r - 30).clamp_min(0) - (torch.log(r.clamp_min(30) / 30))
