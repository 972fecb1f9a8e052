r"""Annealed importance sampling of the evidence (Neal 2001, Wu et al. 2017).

The number wanted is `log E exp f(u)` with `u ~ N(0, I)`: with `f` an `Evidence`, `log p(x)`. Chains
start at the Gaussian, which is the posterior in the coordinates of its noise, and pass through the
laws proportional to `N(u; 0, I) exp(b f(u))` with `b` from 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from pushforward._random import normal_like
from pushforward.mcmc import HMC, anneal, temperatures

__all__ = ["annealed_log_weights", "log_mean", "mean"]

_PILOTS = 4


def mean(values: Tensor) -> tuple[Tensor, Tensor]:
    """The mean over the first axis `K`, and its standard error; that of one value is infinite.

    >>> mean(torch.tensor([[1.0], [3.0]]))
    (tensor([2.]), tensor([1.]))
    """
    count = len(values)
    value = values.mean(0)
    if count == 1:
        return value, torch.full_like(value, math.inf)
    return value, values.std(0) / math.sqrt(count)


def log_mean(log_weights: Tensor) -> tuple[Tensor, Tensor]:
    """`log mean exp` over the first axis, and its standard error by the delta method.

    >>> log_mean(torch.tensor([[1.0], [1.0]]).log())
    (tensor([0.]), tensor([0.]))
    """
    value = log_weights.logsumexp(0) - math.log(len(log_weights))
    return value, mean((log_weights - value).exp())[1]


@torch.no_grad()
def annealed_log_weights(
    f: Callable[[Tensor], Tensor],
    like: Tensor,
    chains: int = 16,
    steps: int = 100,
    leapfrogs: int = 5,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Log-weights of chains for each of `B` states, `(chains, B)`; `log_mean` sums them up.

    Args:
        f: a differentiable function `(K, B, d) -> (K, B)`.
        like: a tensor `(B, d)` of the chains' shape.
        chains: how many for each state.
        steps: laws on the way, with one step of Hamiltonian Monte Carlo each.
        leapfrogs: gradients in one of them.
        generator: on the device of `like`.

    A few chains go first to find the step size for each law; those that count take it as it is,
    which leaves their weights unbiased.

    >>> f = lambda u: -1.5 * u.square().sum(-1)  # E exp f = (1 + 3)^(-d / 2)
    >>> generator = torch.Generator().manual_seed(0)
    >>> weights = annealed_log_weights(f, torch.zeros(1, 2), 200, 20, generator=generator)
    >>> value, error = log_mean(weights)
    >>> bool((value + math.log(4)).abs() < 4 * error)
    True
    """
    batch, dim = like.shape

    def base(u: Tensor) -> Tensor:
        return -0.5 * (u.square().sum(-1) + dim * math.log(2 * math.pi))

    def joint(u: Tensor) -> Tensor:
        return base(u) + f(u.reshape(-1, batch, dim)).flatten()

    def start(count: int) -> Tensor:
        return normal_like(like.expand(count, batch, dim), generator).flatten(0, 1)

    kernel, path = HMC(leapfrogs=leapfrogs), temperatures(steps)
    pilot = anneal(kernel, joint, base, start(_PILOTS), path, generator=generator)
    run = anneal(kernel, joint, base, start(chains), path, steps=pilot.steps, generator=generator)
    return run.log_weights.reshape(chains, batch)
