r"""The evidence by weighted latents, and a check of the posterior that they came from.

With `pi(u)` proportional to `N(u; 0, I) exp f(u)`, the posterior in the coordinates of its noise,
`E[s_j] = 0` and `E[1 + u_j s_j] = 0` for its score `s = grad log pi` (Stein's identities, see
Gorham & Mackey 2015). Weighted draws from `N(0, I)` stand for `pi` only if their means keep to
that. Noise that lies in a corner of `pi`, where all weights may look alike, breaks them by many
errors: the score there points out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import torch
from torch import Tensor

from pushforward.importance import LogMean, log_mean

__all__ = ["keeps_to_stein", "weighed"]

_FALSE_ALARMS = 1e-3
"""The share of good rows that the check may reject."""


def weighed(f: Callable[[Tensor], Tensor], noise: Tensor) -> LogMean:
    """`log mean exp f(u)` over the first axis of standard normal noise `(K, B, d)`; `(B,)` each.

    It has converged if the weights have (`importance.log_mean`) and Stein's identities hold.

    >>> noise = torch.randn(200, 1, 1, generator=torch.Generator().manual_seed(0))
    >>> wide = lambda u: (u.square() / 2 - (u / 50).square() / 2).sum(-1)  # E exp f = 50
    >>> bool(weighed(wide, noise).converged)
    False
    >>> bool(weighed(lambda u: -u.sum(-1) / 4, noise).converged)
    True
    """
    with torch.enable_grad():
        u = noise.detach().requires_grad_()
        logs = f(u)
        (slope,) = torch.autograd.grad(logs.sum(), u)
    logs, u = logs.detach(), u.detach()
    found = log_mean(logs)
    return found._replace(converged=found.converged & keeps_to_stein(logs, u, slope - u, found.ess))


def keeps_to_stein(logs: Tensor, u: Tensor, score: Tensor, ess: Tensor) -> Tensor:
    """Whether weighted states `(K, B, d)` obey Stein's identities of a score there, `(B,)`.

    All `2 d` means have to vanish within their errors; `ess` `(B,)` is the weights' effective size.
    """
    weights = logs.softmax(0).unsqueeze(-1)
    terms = torch.cat([score, 1 + u * score], -1)
    means = (weights * terms).sum(0)
    errors = (weights * (terms - means)).square().sum(0).sqrt()
    normal = NormalDist().inv_cdf(1 - _FALSE_ALARMS / (2 * terms.shape[-1]))
    # Errors by few draws are uncertain themselves: the quantile of Student's t, by its expansion.
    allowed = normal * (1 + (normal**2 + 1) / (4 * ess))
    # An identity that holds in each term by itself has no error, but rounding.
    rounding = 16 * math.sqrt(len(u)) * torch.finfo(u.dtype).eps * terms.abs().amax(0)
    return (means.abs() <= allowed.unsqueeze(-1) * errors + rounding).all(-1)
