r"""How many lineages of a Wright-Fisher diffusion are left, looking back over a time.

The transition of the diffusion is a mixture: `m` lineages reach back, each of the kind of an
ancestor, and given their kinds the state is Dirichlet. For `m` starting from infinitely many, that
each pair merges at rate one and each mutates at rate `theta / 2`,

    P(m) = sum_{k >= m} (-1)^{k-m} a_km exp(-k (k + theta - 1) tau / 2),
    a_km = (theta + 2k - 1) / (m! (k - m)!) Gamma(theta + m + k - 1) / Gamma(theta + m)

(Griffiths 1980; Tavaré 1984; Jenkins & Spanò 2017). The terms alternate and cancel: where many
lineages are left they have no digits, and `m` is a rounded normal number with the limits of
Griffiths (1984) for mean and variance, the mean less 1/6, which is the next order. That is so below
a time of `SHORT`, or for large `theta` below the one at which `FEW` are left. The two laws are then
within .025 of each other in total variation, their means within .12.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from pushforward._draws import normal_doubles, uniform_doubles
from pushforward._precision import in_double

__all__ = ["FEW", "SHORT", "lineages", "lineages_law", "normal_limits", "shortest"]

SHORT = 0.1
"""The shortest time for which the series is summed, unless fewer than `FEW` are left."""

FEW = 12.0
"""The mean number of lineages for which the series has digits and a normal number is near."""

_MOST = 100


def lineages(tau: Tensor, theta: float, generator: torch.Generator | None = None) -> Tensor:
    """Numbers of lineages after times `(B,)`, as doubles."""
    tau = in_double(tau)
    u, noise = uniform_doubles(tau, generator), normal_doubles(tau, generator)
    least = shortest(theta)
    exact = tau >= least
    long = torch.where(exact, tau, 1.0)
    law = lineages_law(long, theta)
    # One more column than there are numbers takes what rounding has left over.
    counted = (law.cumsum(1) <= u.unsqueeze(1)).sum(1).clamp_max(law.shape[1] - 1)
    mean, variance = normal_limits(torch.where(exact, least, tau), theta)
    rounded = (mean + variance.sqrt() * noise).round().clamp_min(0)
    return torch.where(exact, counted.double(), rounded)


def lineages_law(tau: Tensor, theta: float) -> Tensor:
    """The chances of `0, 1, ...` lineages after times `(B,)` of at least `shortest(theta)`,
    `(B, M)`."""
    coefficients, rates = _series(theta)
    tau = in_double(tau)
    decay = torch.exp(-tau.unsqueeze(1) * rates.to(tau.device))
    return (decay @ coefficients.to(tau.device)).clamp(0, 1)


@cache
def shortest(theta: float) -> float:
    """The shortest time for which the series is summed.

    >>> shortest(3.0), round(shortest(80.0), 3)
    (0.1, 0.051)
    """
    low, high = 0.0, SHORT
    for _ in range(40):
        middle = 0.5 * (low + high)
        mean, _ = normal_limits(torch.tensor(middle), theta)
        low, high = (middle, high) if float(mean) > FEW else (low, middle)
    return high


@cache
def _series(theta: float) -> tuple[Tensor, Tensor]:
    """The coefficients `(K, M)` with their signs, and the rates of decay `(K,)`."""
    k = torch.arange(_MOST, dtype=torch.float64).unsqueeze(1)
    m = torch.arange(_MOST // 2, dtype=torch.float64)
    # Of k = m = 0 alone the gamma function has a pole that (theta - 1) cancels: the term is one.
    first = (k == 0) & (m == 0)
    logs = (
        torch.log((theta + 2 * k - 1).clamp_min(1e-300))
        - torch.lgamma(m + 1)
        - torch.lgamma((k - m).clamp_min(0) + 1)
        + torch.lgamma(torch.where(first, 1.0, theta + k + m - 1))
        - torch.lgamma(theta + m)
    )
    signs = torch.where(k >= m, 1.0 - 2.0 * ((k - m) % 2), 0.0)
    found = signs * torch.where(first, 0.0, logs).exp()
    return found, (0.5 * k * (k + theta - 1)).squeeze(1)


def normal_limits(tau: Tensor, theta: float) -> tuple[Tensor, Tensor]:
    """The mean and the variance of the number for short times."""
    tau = in_double(tau)
    beta = 0.5 * (theta - 1) * tau
    near = beta.abs() < 1e-3
    safe = torch.where(near, 1.0, beta)
    eta = torch.where(near, 1 - beta / 2 + beta**2 / 12, safe / torch.expm1(safe))
    plain = (eta + safe) ** 2 * (1 + eta / (eta + safe) - 2 * eta) / safe**2
    # The limit at beta = 0, of which the formula has no digits left.
    variance = 2 * eta / tau * torch.where(near, 1 / 3, plain)
    return 2 * eta / tau - 1 / 6, variance
