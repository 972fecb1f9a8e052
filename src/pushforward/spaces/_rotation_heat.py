r"""The heat kernel of Brownian motion (generator half the Laplacian) on SO(3).

In the metric of rotation angles, per unit of the uniform probability, at the angle `omega` from the
start after variance `tau` (IGSO(3); Nikolayev & Savyolova 1997),

    f(omega) = sum_l (2l + 1) exp(-l (l + 1) tau / 2) sin((l + 1/2) omega) / sin(omega / 2)
             = sqrt(2 pi) e^{tau / 8} tau^{-3/2}
                 sum_k (-1)^k (omega + 2 pi k) exp(-(omega + 2 pi k)^2 / (2 tau)) / sin(omega / 2),

by Poisson summation. The sum over windings `k` is exact, and for `tau` of one and less resolves the
tail that the series loses; for larger ones the series needs a dozen terms. The angle has the
density `f(omega) (1 - cos omega) / pi`.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from pushforward._precision import in_double, widest
from pushforward._random import fork, normal, uniform
from pushforward.errors import SamplingError

__all__ = ["log_kernel", "sample_vector"]

_SWITCH = 1.0
_TERMS = 12
_WINDINGS = 4
_ROUNDS = 1000


def log_kernel(angle: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """The log heat kernel per unit of the uniform probability, and its derivative in the angle.

    Arguments and results are `(N,)`.

    >>> value, slope = log_kernel(torch.zeros(1), torch.full((1,), 50.0))
    >>> round(value.item(), 6), slope.item()
    (0.0, 0.0)
    """
    omega, tau = in_double(angle), in_double(variance)
    wide = tau > _SWITCH
    one = torch.full_like(tau, _SWITCH)
    pairs = zip(
        _series(omega, torch.where(wide, tau, one)),
        _images(omega, torch.where(wide, one, tau)),
        strict=True,
    )
    value, slope = (torch.where(wide, *pair).to(angle) for pair in pairs)
    return value, slope


def _series(omega: Tensor, tau: Tensor) -> tuple[Tensor, Tensor]:
    degree = torch.arange(_TERMS, dtype=omega.dtype, device=omega.device)
    modes = (2 * degree + 1) * torch.exp(-0.5 * degree * (degree + 1) * tau.unsqueeze(-1))
    # sin((l + 1/2) w) / sin(w / 2) = 1 + 2 sum_{j <= l} cos(j w), without a quotient.
    turns = degree * omega.unsqueeze(-1)
    twice = torch.where(degree > 0, 2.0, 1.0)
    characters = (twice * turns.cos()).cumsum(-1)
    slopes = (-twice * degree * turns.sin()).cumsum(-1)
    kernel = (modes * characters).sum(-1)
    return kernel.log(), (modes * slopes).sum(-1) / kernel


def _images(omega: Tensor, tau: Tensor) -> tuple[Tensor, Tensor]:
    """The sum over windings, relative to the term without one."""
    safe = omega.clamp_min(1e-7).unsqueeze(-1)
    k = torch.arange(-_WINDINGS, _WINDINGS + 1, dtype=omega.dtype, device=omega.device)
    sign = 1 - 2 * k.remainder(2)
    way = safe + 2 * math.pi * k
    v = tau.unsqueeze(-1)
    weight = sign * torch.exp(-0.5 * (way.square() - safe.square()) / v)
    total = (weight * way).sum(-1)
    slope_of_total = (weight * (1 - way.square() / v)).sum(-1)
    w = safe.squeeze(-1)
    value = (
        0.5 * math.log(2 * math.pi)
        + tau / 8
        - 1.5 * tau.log()
        - 0.5 * w.square() / tau
        + (total / torch.sin(0.5 * w)).log()
    )
    # 1/w - cot(w/2)/2 is w/12 for small angles; the two parts cancel in it.
    small = omega < 1e-3
    slope = slope_of_total / total - 0.5 / torch.tan(0.5 * w)
    return value, torch.where(small, omega * (1 / 12 - 1 / tau), slope)


def sample_vector(variance: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Rotation vectors of Brownian motion after `variance` `(N,)`, exactly; `(N, 3)`.

    A normal vector wraps to a rotation with the density of all its windings; every winding of the
    heat kernel is the same normal times `e^{tau / 8}` and `sin(r / 2) / (r / 2)`, at most one. A
    draw is thus kept with the chance `e^{-tau / 8}` on average. From `tau = 4` on the uniform
    distribution proposes.
    """
    tau = in_double(variance)
    kind: Any = {"dtype": widest(variance.device), "device": variance.device}
    found = tau.new_zeros(len(tau), 3)
    waiting = torch.arange(len(tau), device=tau.device)
    for _ in range(_ROUNDS):
        source = fork(generator, waiting.to(variance.device))
        own = tau[waiting]
        noise = in_double(normal((len(waiting), 4), source, **kind))
        accept = in_double(uniform((len(waiting), 1), source, **kind)).squeeze(-1)
        wide = own > 4.0
        proposal = torch.where(
            wide.unsqueeze(-1), _uniform_vector(noise), _folded(own, noise[:, :3])
        )
        angle = torch.linalg.vector_norm(proposal, dim=-1)
        chance = log_kernel(angle, own)[0] - torch.where(
            wide, log_kernel(torch.zeros_like(own), own)[0], _log_wrapped(angle, own) + own / 8
        )
        kept = accept.log() < chance
        found[waiting[kept]] = proposal[kept]
        waiting = waiting[~kept]
        if not len(waiting):
            return found.to(variance)
    raise SamplingError(
        f"{len(waiting)} of {len(tau)} rotations were not accepted in {_ROUNDS} draws: their "
        "variance is not a number"
    )


def _uniform_vector(noise: Tensor) -> Tensor:
    """Rotation vectors of uniform quaternions, from normal numbers `(N, 4)`."""
    vector, scalar = noise[:, :3], noise[:, 3:]
    length = torch.linalg.vector_norm(vector, dim=-1, keepdim=True)
    return 2 * torch.atan2(length, scalar.abs()) * scalar.sign() * vector / length


def _folded(tau: Tensor, noise: Tensor) -> Tensor:
    """Normal rotation vectors, brought to an angle of at most pi."""
    vector = tau.sqrt().unsqueeze(-1) * noise
    angle = torch.linalg.vector_norm(vector, dim=-1, keepdim=True)
    turned = torch.remainder(angle + math.pi, 2 * math.pi) - math.pi
    return vector * (turned / angle.clamp_min(torch.finfo(tau.dtype).tiny))


def _log_wrapped(angle: Tensor, tau: Tensor) -> Tensor:
    """The density of a wrapped normal rotation vector, per unit of the uniform probability."""
    safe = angle.clamp_min(1e-7).unsqueeze(-1)
    k = torch.arange(-6, 7, dtype=angle.dtype, device=angle.device)
    way = safe + 2 * math.pi * k
    logs = 2 * way.abs().log() - 0.5 * way.square() / tau.unsqueeze(-1)
    constant = math.log(8 * math.pi**2) - 1.5 * torch.log(2 * math.pi * tau)
    return (
        torch.logsumexp(logs, -1) - 2 * torch.log(2 * torch.sin(0.5 * safe.squeeze(-1))) + constant
    )
