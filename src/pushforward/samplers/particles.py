"""Weighted particles of a posterior, and what they say of the evidence."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward import checks
from pushforward._random import derived_seed, fresh_seed
from pushforward.errors import InputError
from pushforward.estimates import LogProb
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
        stderr: its standard error, `(S,)`, about the evidence of that chain: the error of the
            chain's own steps is no part of it, but of that of `evidence`.
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

    def evidence(self, coarse: PosteriorParticles, nfe: int = 0) -> LogProb:
        """`log p(y)` of each set, `(S,)`, with an error that covers the steps of the chain, too.

        The evidence is that of a chain, whose error is of first order in its steps: half as many
        have twice the error, so that the difference of the two is what is left. With both their
        Monte Carlo errors in it the difference is rather too large than too small, and

            stderr = sqrt(stderr^2 + (log p_coarse(y) - log p(y))^2).

        Args:
            coarse: the same sets by half as many steps.
            nfe: evaluations of the network for all of them.

        Raises `InputError` for another number of sets.
        """
        if len(coarse.log_evidence) != len(self.log_evidence):
            raise InputError(
                f"{len(self.log_evidence)} sets of particles, and by half as many steps "
                f"{len(coarse.log_evidence)} of them"
            )
        error = (coarse.log_evidence - self.log_evidence).abs()
        stderr = torch.hypot(self.stderr, error)
        converged = self.converged & coarse.converged
        return LogProb(
            self.log_evidence, stderr, "estimated", nfe, error=error, converged=converged
        )

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
