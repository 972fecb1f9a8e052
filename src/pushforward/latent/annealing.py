r"""Annealed importance sampling of the evidence (Neal 2001, Wu et al. 2017).

The number wanted is `log E exp f(u)` with `u ~ N(0, I)`: with `f` an `Evidence`, `log p(x)`. Chains
start at the Gaussian, which is the posterior in the coordinates of its noise, and pass through the
distributions proportional to `N(u; 0, I) exp(b f(u))` with `b` from 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from pushforward._random import normal_like
from pushforward.importance import WIDEST_OF_CHAINS, LogMean, log_mean
from pushforward.latent.weighing import keeps_to_stein
from pushforward.mcmc import HMC, anneal, evaluate

__all__ = ["annealed"]

_PILOTS = 4


@torch.no_grad()
def annealed(
    f: Callable[[Tensor], Tensor],
    like: Tensor,
    chains: int = 16,
    steps: int = 100,
    leapfrogs: int = 5,
    generator: torch.Generator | None = None,
) -> LogMean:
    """`log E exp f(u)` for each of `B` states, by chains; `(B,)` each.

    It has converged if the weights have (`importance.log_mean`), the standard error is at most 0.15
    and the ends of the chains, so weighted, obey Stein's identities: chains that could not travel
    far enough do not.

    Args:
        f: a differentiable function `(K, B, d) -> (K, B)`.
        like: a tensor `(B, d)` of the chains' shape.
        chains: how many for each state.
        steps: distributions on the way, with one step of Hamiltonian Monte Carlo each.
        leapfrogs: gradients in one of them.
        generator: on the device of `like`.

    A few pilots find the step sizes, which leaves the weights unbiased: `mcmc.anneal`.

    >>> f = lambda u: -1.5 * u.square().sum(-1)  # E exp f = (1 + 3)^(-d / 2)
    >>> generator = torch.Generator().manual_seed(0)
    >>> found = annealed(f, torch.zeros(1, 2), 200, 20, generator=generator)
    >>> bool((found.value + math.log(4)).abs() < 4 * found.stderr), bool(found.converged)
    (True, True)
    """
    batch, dim = like.shape

    def base(u: Tensor) -> Tensor:
        return -0.5 * (u.square().sum(-1) + dim * math.log(2 * math.pi))

    def joint(u: Tensor) -> Tensor:
        return base(u) + f(u.reshape(-1, batch, dim)).flatten()

    def start(count: int) -> Tensor:
        return normal_like(like.expand(count, batch, dim), generator).flatten(0, 1)

    run = anneal(
        HMC(leapfrogs=leapfrogs), joint, base, start(chains), steps,
        pilots=start(_PILOTS), generator=generator,
    )  # fmt: skip
    logs = run.log_weights.reshape(chains, batch)
    score = evaluate(joint, run.x).gradient
    found = log_mean(logs, WIDEST_OF_CHAINS)
    u, score = (part.reshape(chains, batch, dim) for part in (run.x, score))
    return found._replace(converged=found.converged & keeps_to_stein(logs, u, score, found.ess))
