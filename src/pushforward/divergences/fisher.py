"""The Fisher divergence: how far the scores of two distributions are apart."""

from __future__ import annotations

from typing import Any

from pushforward.divergences import gaussian, mixture, monte_carlo
from pushforward.divergences.divergence import Divergence
from pushforward.divergences.given import (
    GaussianPair,
    MixturePair,
    SamplePair,
    TablePair,
    refused,
    understood,
)

__all__ = ["fisher_divergence"]


def fisher_divergence(p: Any, q: Any, *, n: int = 20_000, seed: int = 0) -> Divergence:
    r"""`I(p | q) = E_p |grad log p - grad log q|^2`, without the factor 1/2 of some authors.

    Closed for two normal distributions, an integral for Gaussian mixtures in one or two dimensions,
    else the mean over `n` draws of `p`, with the gradients of `score` or of `log_prob`.

    Raises `CapabilityError` for samples, which have no scores, and for tables; `InputError` for
    different dimensions.

    >>> from pushforward.distributions import Normal
    >>> fisher_divergence(Normal((1,)), Normal((1,), scale=2.0)).value
    0.5625
    """
    pair = understood(p, q)
    if isinstance(pair, TablePair | SamplePair):
        raise refused(
            "the Fisher divergence", pair,
            "it compares gradients of log-densities: give distributions with score or log_prob",
        )  # fmt: skip
    if isinstance(pair, GaussianPair):
        return Divergence(gaussian.fisher_divergence(*pair.moments), 0.0, "closed form")
    if isinstance(pair, MixturePair):
        found = mixture.fisher_divergence(pair)
        if found is not None:
            return Divergence(found.value, found.error, "integral", converged=found.converged)
    return monte_carlo.fisher_divergence(pair.p, pair.q, n=n, seed=seed)
