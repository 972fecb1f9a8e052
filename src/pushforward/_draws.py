"""Gamma, Poisson and binomial numbers from the noise of rows, which torch's own do not read.

Small counts are quantiles of one uniform number each; gamma numbers and large binomial ones come by
rejection (Marsaglia & Tsang 2000; Hörmann 1993), whose rounds are those of a fork, so that a row
gets the same number in any batch. All in double precision, on the CPU where a device has none.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from pushforward._precision import in_double
from pushforward._random import fine_normal, fine_uniform, fork
from pushforward.errors import ConvergenceError

__all__ = [
    "binomial",
    "gamma",
    "log_gamma_draw",
    "multinomial",
    "normal_doubles",
    "poisson",
    "uniform_doubles",
]

_ROUNDS = 200
"""Of a rejection that takes more than nine of ten numbers at once."""

_MANY, _SMALL = 10.0, 64
"""The mean from which counts are drawn by rejection, and the counts that matter below it."""


def gamma(concentration: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Gamma numbers of unit scale, shaped like their positive `concentration` `(B, ...)`.

    >>> from pushforward._random import resolve
    >>> gamma(torch.full((3, 2), 0.5), resolve(0, rows=3)).shape
    torch.Size([3, 2])
    """
    return log_gamma_draw(concentration, generator).exp()


def log_gamma_draw(concentration: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """The logarithms of gamma numbers, finite for concentrations near zero too.

    A number of concentration `a < 1` is one of `a + 1` times `u^(1/a)`, which is zero in floating
    point for small `a`; its logarithm is not.
    """
    a = in_double(concentration)
    noise = fork(generator)
    # Before the rounds, whose number depends on the other rows of the batch.
    small = uniform_doubles(a, noise).clamp_min(1e-300)
    d = torch.where(a < 1, a + 1, a) - 1 / 3
    c = 1 / (9 * d).sqrt()
    found, done = torch.zeros_like(a), torch.zeros_like(a, dtype=torch.bool)
    for _ in range(_ROUNDS):
        x, u = normal_doubles(a, noise), uniform_doubles(a, noise)
        v = (1 + c * x).clamp_min(1e-300) ** 3
        inside = torch.log(u.clamp_min(1e-300)) < 0.5 * x * x + d - d * v + d * torch.log(v)
        new = inside & (1 + c * x > 0) & ~done
        found = torch.where(new, torch.log(d * v), found)
        done = done | new
        if bool(done.all()):
            break
    else:
        raise ConvergenceError(f"{int((~done).sum())} gamma numbers were not found")
    return torch.where(a < 1, found + small.log() / a, found)


def poisson(rate: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Poisson counts, as doubles shaped like their `rate` `(B, ...)`.

    >>> poisson(torch.zeros(1, 2))
    tensor([[0., 0.]], dtype=torch.float64)
    """
    rate = in_double(rate)
    safe = rate.clamp_min(1e-300)
    # Nothing that a double could draw lies beyond.
    high = (rate + 12 * rate.sqrt() + 60).ceil()
    found = _quantile(
        lambda k: torch.special.gammaincc(k + 1, safe), torch.zeros_like(rate), high,
        uniform_doubles(rate, generator),
    )  # fmt: skip
    return torch.where(rate > 0, found, 0.0)


def binomial(count: Tensor, chance: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Binomial counts out of `count` with a `chance` each, as doubles of their common shape.

    >>> binomial(torch.full((1, 2), 7.0), torch.tensor([[0.0, 1.0]]))
    tensor([[0., 7.]], dtype=torch.float64)
    """
    n, p = torch.broadcast_tensors(in_double(count), in_double(chance).clamp(0, 1))
    u, noise = uniform_doubles(n, generator), fork(generator)
    # The smaller side of the coin: what is drawn is then either small or far from the ends.
    turned = p > 0.5
    q = torch.where(turned, 1 - p, p)
    many = n * q >= _MANY
    found = torch.where(many, 0.0, _counted(n, torch.where(many, 0.0, q), u))
    if bool(many.any()):
        safe = torch.where(many, n, 2 * _MANY), torch.where(many, q, 0.5)
        found = torch.where(many, _rejected(*safe, noise), found)
    return torch.where(turned, n - found, found)


def _counted(n: Tensor, p: Tensor, u: Tensor) -> Tensor:
    """Quantiles of binomial distributions of small means, by their sums."""
    k = torch.arange(_SMALL, dtype=torch.float64, device=n.device)
    n, p = n.unsqueeze(-1), p.unsqueeze(-1)
    left = (n - k).clamp_min(0)
    logs = torch.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma(left + 1)
    logs = logs + torch.xlogy(k, p) + torch.xlogy(left, 1 - p)
    sums = torch.where(k <= n, logs.exp(), 0.0).cumsum(-1)
    return (sums <= u.unsqueeze(-1) * sums[..., -1:]).sum(-1).clamp_max(_SMALL - 1).double()


def _rejected(n: Tensor, p: Tensor, noise: torch.Generator | None) -> Tensor:
    """Binomial numbers of means of at least ten and chances of at most a half, by transformed
    rejection (Hörmann 1993)."""
    spread = (n * p * (1 - p)).sqrt()
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * p
    size = (2.83 + 5.1 / b) * spread
    odds = torch.log(p / (1 - p))
    mode = ((n + 1) * p).floor()
    top = torch.lgamma(mode + 1) + torch.lgamma(n - mode + 1)
    found, done = torch.zeros_like(n), torch.zeros_like(n, dtype=torch.bool)
    for _ in range(_ROUNDS):
        u, v = uniform_doubles(n, noise) - 0.5, uniform_doubles(n, noise)
        side = (0.5 - u.abs()).clamp_min(1e-300)
        k = ((2 * a / side + b) * u + n * p + 0.5).floor()
        inside = (k >= 0) & (k <= n)
        at = torch.minimum(k.clamp_min(0), n)
        level = top - torch.lgamma(at + 1) - torch.lgamma(n - at + 1) + (at - mode) * odds
        new = inside & (torch.log(v * size / (a / side**2 + b)) <= level) & ~done
        found = torch.where(new, at, found)
        done = done | new
        if bool(done.all()):
            return found
    raise ConvergenceError(f"{int((~done).sum())} binomial numbers were not found")


def multinomial(count: Tensor, chances: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """How `count` `(B,)` fall into kinds of `chances` `(B, K)` that sum to one, `(B, K)`.

    >>> multinomial(torch.tensor([4.0]), torch.tensor([[0.0, 1.0, 0.0]]))
    tensor([[0., 4., 0.]], dtype=torch.float64)
    """
    p, left = in_double(chances), in_double(count)
    kinds, rest = [], torch.ones_like(left)
    for k in range(p.shape[-1] - 1):
        own = torch.where(rest > 0, p[..., k] / rest.clamp_min(1e-300), 0.0).clamp(0, 1)
        drawn = binomial(left, own, generator)
        kinds.append(drawn)
        left, rest = left - drawn, (rest - p[..., k]).clamp_min(0)
    return torch.stack([*kinds, left], -1)


def uniform_doubles(like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Uniform doubles of a shape, where doubles are."""
    return fine_uniform(like.shape, generator, device=_source(like, generator))


def normal_doubles(like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Standard normal doubles of a shape, where doubles are."""
    return fine_normal(like.shape, generator, device=_source(like, generator))


def _source(like: Tensor, generator: torch.Generator | None) -> torch.device:
    """Where noise comes from: the device of its generator, if the numbers are not there."""
    if generator is None or generator.device.type == like.device.type:
        return like.device
    return generator.device


def _quantile(share: Callable[[Tensor], Tensor], low: Tensor, high: Tensor, u: Tensor) -> Tensor:
    """The least whole number whose distribution function exceeds `u`, between two others."""
    widest = max(float((high - low).max()), 1.0) if len(low) else 1.0
    for _ in range(math.ceil(math.log2(widest + 1))):
        middle = ((low + high) / 2).floor()
        above = share(middle) > u
        high = torch.where(above, middle, high)
        low = torch.where(above, low, torch.minimum(middle + 1, high))
    return high
