"""Importance weights as an estimate of `log Z`, and the mean of their logarithms as a bound."""

from __future__ import annotations

import math

from torch import Tensor

from pushforward.evidence.intervals import LEVEL, Bound, LogZ, student_quantile
from pushforward.importance import log_mean

__all__ = ["from_log_weights", "mean_as_bound"]


def mean_as_bound(log_weights: Tensor, name: str, side: str, holds: bool, because: str) -> Bound:
    """The mean of log-weights `(n,)` as a bound."""
    logs = log_weights.double()
    spread = float(logs.std()) / math.sqrt(len(logs))
    return Bound(name, float(logs.mean()), spread, side, holds, because)


def from_log_weights(log_weights: Tensor, method: str, fine: bool, because: str) -> LogZ:
    """An estimate by weights `(n,)` of mean `Z`, with the error that their tail allows for.

    Args:
        log_weights: their logarithms.
        method: what made them.
        fine: whether what made them has converged.
        because: why their mean is `Z`, and that of their logarithms a bound.
    """
    found = log_mean(log_weights.double())
    value, stderr = float(found.value), float(found.stderr)
    half = student_quantile((1 + LEVEL) / 2, max(1, round(float(found.ess)) - 1)) * stderr
    converged = bool(found.converged) and fine
    notes: tuple[str, ...] = ()
    if not converged:
        notes = (
            f"The weights degenerate: their effective sample size is {float(found.ess):.1f} of "
            f"{len(log_weights)}, the shape of their tail {float(found.k_hat):.2f}.",
        )
    elbo = mean_as_bound(log_weights, "ELBO", "lower", True, because)
    return LogZ(
        value, stderr, value - half, value + half, method, float(found.ess), converged, (),
        (elbo,), notes,
    )  # fmt: skip
