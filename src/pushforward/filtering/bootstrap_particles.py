"""The bootstrap particle filter: members are drawn anew by how well they explain an observation."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.errors import ConvergenceWarning, InputError
from pushforward.filtering.state_space import Move
from pushforward.mcmc import systematic_resampling

__all__ = ["BootstrapParticles"]

_FEWEST = 50.0
"""The effective sample size below which the draws that are kept say little of the posterior."""


@dataclass(frozen=True)
class BootstrapParticles:
    """The bootstrap filter (Gordon et al. 1993): weights `p(y | x_i)`, and systematic resampling.

    Exact for many members, whatever the model. The number that it takes grows exponentially with
    the information in an observation; where few members have all the weight, with an effective
    sample size below 50, a `ConvergenceWarning` says so.

    Args:
        log_likelihood: `f(y, x)`, `log p(y | x)` of states `(M, d)` up to a constant, `(M,)`.

    Raises `InputError` where no member explains the observation, or a likelihood is NaN.

    >>> g = torch.Generator().manual_seed(0)
    >>> analysis = BootstrapParticles(lambda y, x: -(y - x).square().sum(1) / 2)
    >>> x = torch.randn(20_000, 1, generator=g)
    >>> found = analysis(x, lambda x, g: x, torch.tensor([1.0]), g)
    >>> round(found.mean().item(), 1), round(found.var().item(), 1)
    (0.5, 0.5)
    """

    log_likelihood: Callable[[Tensor, Tensor], Tensor]

    def __call__(self, x: Tensor, observe: Move, y: Tensor, generator: torch.Generator) -> Tensor:
        """Members, each as often as its weight says, `(M, d)`."""
        log_weights = self.log_likelihood(y, x)
        if bool(log_weights.isnan().any()) or not bool((log_weights > -torch.inf).any()):
            raise InputError(
                f"no log-likelihood of the observation {y.tolist()} can be used: all are -inf, or "
                "some are NaN"
            )
        ess = float((2 * log_weights.logsumexp(0) - (2 * log_weights).logsumexp(0)).exp())
        if ess < min(_FEWEST, len(x) / 2):
            warnings.warn(
                f"the weights of {len(x)} particles rest on {ess:.1f} of them: take more",
                ConvergenceWarning,
                stacklevel=3,
            )
        return x[systematic_resampling(log_weights, len(x), generator).to(x.device)]
