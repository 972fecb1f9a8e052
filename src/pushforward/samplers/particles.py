"""Weighted particles of a posterior, and what they say of the evidence."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward import checks
from pushforward._random import derived_seed, fresh_seed
from pushforward.errors import InputError
from pushforward.mcmc import systematic_resampling

__all__ = ["PosteriorParticles"]


@dataclass(frozen=True)
class PosteriorParticles:
    """Independent sets of weighted states, each a sample of the posterior of one measurement.

    Args:
        x: `S` sets of `K` states, `(S, K, *event)`.
        log_weights: their log-weights since the last resampling, `(S, K)`.
        log_evidence: the logarithm of an unbiased estimate of `p(y)` under the sampled chain, one
            for each set, `(S,)`.
        stderr: its standard error, `(S,)`.
        ess: the effective size of the weights at each time of the grid and at the end, `(T, S)`.
        resamplings: how often a set was resampled, `(S,)`.
        ancestors: how many of the first states have descendants among the last, `(S,)`.
        converged: whether weights, evidence and its error can be trusted, `(S,)`.
    """

    x: Tensor
    log_weights: Tensor
    log_evidence: Tensor
    stderr: Tensor
    ess: Tensor
    resamplings: Tensor
    ancestors: Tensor
    converged: Tensor

    @property
    def weights(self) -> Tensor:
        """Normalized within each set, `(S, K)`."""
        return self.log_weights.double().softmax(1).to(self.x)

    @property
    def mean(self) -> Tensor:
        """The posterior mean of each set, `(S, *event)`."""
        return torch.einsum("sk,sk...->s...", self.weights, self.x)

    def sample(
        self,
        n: int | None = None,
        *,
        seed: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """`n` equally weighted draws of each set, `(S, n, *event)`, by default as many as it has.

        States of large weight come more than once: distinct draws are as many as `ess` at most.
        """
        count = self.x.shape[1] if n is None else checks.whole("n", n)
        first = fresh_seed(seed, generator)
        picks = []
        for k, weights in enumerate(self.log_weights):
            own = torch.Generator("cpu").manual_seed(derived_seed(first, k))
            picks.append(self.x[k, systematic_resampling(weights, count, own).to(self.x.device)])
        return torch.stack(picks)

    def pooled_evidence(self) -> tuple[float, float]:
        """The log-evidence by all sets together, and its standard error from their spread.

        For several sets of one measurement: the error makes no assumption on the resampling, but is
        itself uncertain for few sets. Raises `InputError` for fewer than two.
        """
        count = len(self.log_evidence)
        if count < 2:
            raise InputError("the spread of the evidence takes two particle sets at least, not one")
        logs = self.log_evidence.double()
        value = logs.logsumexp(0) - math.log(count)
        return float(value), float((logs - value).exp().std() / math.sqrt(count))
