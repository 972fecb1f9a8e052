r"""Annealed importance sampling (Neal 2001): log-means of exponentials, by chains that move there.

The number wanted is `log E exp f(u)` with `u ~ N(0, I)`. Chains start at the Gaussian and pass
through the laws proportional to `N(u; 0, I) exp(b f(u))` with `b` from 0 to 1, one step of
Hamiltonian Monte Carlo at each; the weight `exp(sum (b' - b) f(u))` of a chain is unbiased.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from pushforward._random import normal_like, uniform_like

__all__ = ["annealed_log_weights", "log_mean"]

_ACCEPTED = 0.65
"""The share of proposals that is best accepted (Beskos et al. 2013)."""

_PILOTS = 2


def log_mean(log_weights: Tensor) -> tuple[Tensor, Tensor]:
    """`log mean exp` over the first axis `K`, and its standard error by the delta method.

    That of one weight is not known: infinite.

    >>> log_mean(torch.tensor([[1.0], [1.0]]).log())
    (tensor([0.]), tensor([0.]))
    """
    count = len(log_weights)
    value = log_weights.logsumexp(0) - math.log(count)
    if count == 1:
        return value, torch.full_like(value, math.inf)
    relative = (log_weights - value).exp()
    return value, relative.std(0) / math.sqrt(count)


@torch.no_grad()
def annealed_log_weights(
    f: Callable[[Tensor], Tensor],
    like: Tensor,
    chains: int = 16,
    steps: int = 100,
    leapfrog: int = 5,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Log-weights of chains for each of `B` states, `(chains, B)`; `log_mean` sums them up.

    Args:
        f: a differentiable function `(K, B, d) -> (K, B)`.
        like: a tensor `(B, d)` of the chains' shape.
        chains: how many for each state.
        steps: laws on the way.
        leapfrog: gradients in one step of a chain.
        generator: on the device of `like`.

    A few chains go first to find step sizes for each law and state; those that count take them as
    they are, which leaves their weights unbiased.

    >>> f = lambda u: -1.5 * u.square().sum(-1)  # E exp f = (1 + 3)^(-d / 2)
    >>> generator = torch.Generator().manual_seed(0)
    >>> weights = annealed_log_weights(f, torch.zeros(1, 2), 200, 20, generator=generator)
    >>> value, error = log_mean(weights)
    >>> bool((value + math.log(4)).abs() < 4 * error)
    True
    """
    # Slow at both ends, where the law changes most for its width.
    ramp = torch.linspace(-4, 4, steps + 1, dtype=torch.float64).sigmoid()
    path = ((ramp - ramp[0]) / (ramp[-1] - ramp[0])).tolist()
    _, sizes = _anneal(f, like.expand(_PILOTS, *like.shape), path, leapfrog, generator, None)
    return _anneal(f, like.expand(chains, *like.shape), path, leapfrog, generator, sizes)[0]


def _anneal(
    f: Callable[[Tensor], Tensor],
    like: Tensor,
    path: list[float],
    leapfrog: int,
    generator: torch.Generator | None,
    sizes: list[Tensor] | None,
) -> tuple[Tensor, list[Tensor]]:
    """Log-weights `(K, B)`, and the step size `(B, 1)` taken at each law."""
    u = normal_like(like, generator)
    value, slope = _value_and_slope(f, u)
    total = torch.zeros_like(value)
    size = torch.full_like(like[0, :, :1], like.shape[-1] ** -0.25)
    taken = []
    for before, now in zip(path, path[1:], strict=False):
        total = total + (now - before) * value
        if now == 1.0:
            # What the chain did now would count no more.
            break
        size = size if sizes is None else sizes[len(taken)]
        taken.append(size)
        momentum = normal_like(u, generator)
        start = _energy(u, momentum, now * value)
        p = momentum - size / 2 * (u - now * slope)
        new = u
        for k in range(leapfrog):
            new = new + size * p
            new_value, new_slope = _value_and_slope(f, new)
            p = p - (size if k < leapfrog - 1 else size / 2) * (new - now * new_slope)
        # What is not a number is not accepted.
        log_ratio = (start - _energy(new, p, now * new_value)).nan_to_num(nan=-math.inf)
        chance = log_ratio.clamp(max=0).exp()
        accept = uniform_like(chance, generator) < chance
        moved = accept.unsqueeze(-1)
        u, slope = torch.where(moved, new, u), torch.where(moved, new_slope, slope)
        value = torch.where(accept, new_value, value)
        size = size * (0.3 * (chance.mean(0).unsqueeze(-1) - _ACCEPTED)).exp()
    return total, taken


def _energy(u: Tensor, momentum: Tensor, value: Tensor) -> Tensor:
    return 0.5 * (u.square() + momentum.square()).sum(-1) - value


def _value_and_slope(f: Callable[[Tensor], Tensor], u: Tensor) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        u = u.detach().requires_grad_()
        value = f(u)
        (slope,) = torch.autograd.grad(value.sum(), u)
    return value.detach(), slope
