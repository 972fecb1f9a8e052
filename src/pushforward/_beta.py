"""Quantiles of the beta distribution, which torch does not have."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward._roots import increasing_root

__all__ = ["beta_cdf", "beta_quantile"]

_TERMS = 100


def beta_quantile(u: Tensor, a: float, b: float) -> Tensor:
    """Where the distribution function of Beta(a, b) takes the values `u`, in double precision.

    >>> beta_quantile(torch.tensor([0.0, 0.5, 1.0]), 0.6, 0.6)
    tensor([0.0000, 0.5000, 1.0000], dtype=torch.float64)
    """
    u = u.double()
    # Below the half as it stands and above it from the other end: both tails keep their digits.
    lower = u <= 0.5
    share = torch.where(lower, u, 1 - u)
    first, second = (
        torch.where(lower, torch.full_like(u, one), torch.full_like(u, other))
        for one, other in ((a, b), (b, a))
    )
    found = increasing_root(
        lambda x: beta_cdf(x, first, second) - share, torch.zeros_like(u), torch.ones_like(u)
    )
    return torch.where(lower, found, 1 - found)


def beta_cdf(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The regularized incomplete beta function, by its continued fraction (DLMF 8.17.22).

    >>> half = torch.tensor(0.5, dtype=torch.float64)
    >>> round(float(beta_cdf(half, 2 + 0 * half, 3 + 0 * half)), 12)  # 11 / 16
    0.6875
    """
    # The fraction converges fast below the mean, and by symmetry everywhere.
    turned = x > (a + 1) / (a + b + 2)
    x, a, b = torch.where(turned, 1 - x, x), torch.where(turned, b, a), torch.where(turned, a, b)
    log_beta = torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)
    front = torch.exp(torch.xlogy(a, x) + b * torch.log1p(-x) - log_beta) / a
    # Backwards from a late term, which needs no guard against zeros.
    fraction = torch.zeros_like(x)
    for k in range(_TERMS, 0, -1):
        m = k // 2
        top = m * (b - m) * x if k % 2 == 0 else -(a + m) * (a + b + m) * x
        fraction = top / ((a + k - 1) * (a + k)) / (1 + fraction)
    value = front / (1 + fraction)
    return torch.where(turned, 1 - value, value)
