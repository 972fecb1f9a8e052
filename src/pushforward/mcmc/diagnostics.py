"""Whether chains have converged, and how much they know.

Traces have shape `(steps, chains, *event)`; what is found is one number per coordinate, `(*event)`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import InputError

__all__ = ["effective_sample_size", "r_hat"]


def r_hat(trace: Tensor) -> Tensor:
    """Split R-hat (Gelman et al. 2013, section 11.4): near 1 if chains agree with each other.

    Each chain is cut into halves, so that a drift shows too. With the mean `W` of the variances
    within the halves, and the variance `B` of their means, it is `sqrt((n - 1) / n + B / W)`.

    Raises `InputError` for traces of fewer than four steps.

    >>> trace = torch.randn(500, 4, 1, generator=torch.Generator().manual_seed(0))
    >>> round(float(r_hat(trace)), 1)
    1.0
    """
    within, between, n = _variances(_halves(trace))
    return ((n - 1) / n + between / within).sqrt()


def effective_sample_size(trace: Tensor) -> Tensor:
    """The number of independent draws whose mean would be as precise (Vehtari et al. 2021).

    `m n / (1 + 2 sum_t rho_t)` with autocorrelations that also know of differences between the
    `m` chains, summed in pairs as long as these are positive and decrease (Geyer 1992).

    Raises `InputError` for traces of fewer than four steps.

    >>> trace = torch.randn(500, 4, 1, generator=torch.Generator().manual_seed(0))
    >>> 1500 < float(effective_sample_size(trace)) < 2500
    True
    """
    x = _halves(trace)
    within, between, n = _variances(x)
    centered = x - x.mean(0)
    power = torch.fft.rfft(centered, n=2 * n, dim=0).abs().square()
    covariance = torch.fft.irfft(power, n=2 * n, dim=0)[:n].mean(1) / n
    total = (n - 1) / n * within + between
    rho = 1 - (covariance[0] - covariance) / total
    pairs = rho[: n - n % 2].unflatten(0, (-1, 2)).sum(1)
    positive = (pairs > 0).cumprod(0)
    time = 2 * (pairs.cummin(0).values * positive).sum(0) - 1
    draws = x.shape[0] * x.shape[1]
    # Chains that alternate are better than independent draws, but not without limit.
    limit = torch.log10(torch.tensor(float(draws)))
    return draws / time.clamp(min=float(1 / limit))


def _halves(trace: Tensor) -> Tensor:
    """Each chain as two of half the length, in double precision, on the CPU."""
    if trace.ndim < 2 or len(trace) < 4:
        raise InputError(
            f"a trace has shape (steps, chains, *event) with at least 4 steps, not "
            f"{tuple(trace.shape)}"
        )
    half = len(trace) // 2
    return torch.cat([trace[:half], trace[-half:]], 1).cpu().double()


def _variances(x: Tensor) -> tuple[Tensor, Tensor, int]:
    """The mean variance within chains, the variance of their means, and their length."""
    return x.var(0).mean(0), x.mean(0).var(0), len(x)
