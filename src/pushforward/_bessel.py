"""Sums and ratios of modified Bessel functions, which torch has for two orders only."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["bessel_ratio"]

_SUMMED, _TERMS = 400.0, 120
"""The argument of the series up to which it is summed, and the terms that it takes there."""


def bessel_ratio(c: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
    r"""The mean of `n` with chances in proportion to `c^n / (n! Gamma(a + n))`, and the log of the
    sum of these times `Gamma(a)`.

    The sum is that of a modified Bessel function, `c^{(1-a)/2} I_{a-1}(2 sqrt(c))`, and the mean
    `sqrt(c) I_a / I_{a-1}` (Amos 1974). Small `c` are summed; large ones take Debye's uniform
    expansion about the largest term, by its derivative. Double precision.

    >>> mean, log = bessel_ratio(torch.tensor([0.0, 1.0]).double(), torch.ones(2).double())
    >>> print(mean.round(decimals=6).tolist(), log.exp().round(decimals=6).tolist())
    [0.0, 0.697775] [1.0, 2.279585]
    """
    small = c < _SUMMED
    # Not zero, whose logarithm has no finite gradient.
    near = torch.where(small, c, 1.0).clamp_min(1e-300)
    n = torch.arange(_TERMS, dtype=torch.float64, device=c.device)
    logs = (
        n * near.unsqueeze(-1).log()
        - torch.lgamma(n + 1)
        - torch.lgamma(a.unsqueeze(-1) + n)
        + torch.lgamma(a).unsqueeze(-1)
    )
    log_sum = torch.logsumexp(logs, -1)
    mean = (torch.exp(logs - log_sum.unsqueeze(-1)) * n).sum(-1)
    far = torch.where(small, _SUMMED, c)
    log_far, mean_far = _expanded(far, a)
    return torch.where(small, mean, mean_far), torch.where(small, log_sum, log_far)


def _expanded(c: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
    """The logarithm of the sum, and the mean, for large `c`."""
    nu, x = a - 1, 2 * c.sqrt()
    log_bessel = _debye(nu, x)
    log_sum = log_bessel - 0.5 * nu * torch.log(c) + torch.lgamma(a)
    ratio = torch.where(x > _WIDE, torch.exp(_debye(a, x) - log_bessel), _fraction(nu, x))
    return log_sum, 0.5 * x * ratio


def _debye(nu: Tensor, x: Tensor) -> Tensor:
    """`log I_nu(x)` by Debye's expansion, which is uniform in the order (DLMF 10.41)."""
    root = torch.hypot(nu, x)
    p = 1 / root
    v = nu * p
    # u_k(v) / nu^k, regular at nu = 0.
    first = (3 - 5 * v**2) / 24 * p
    second = (81 - 462 * v**2 + 385 * v**4) / 1152 * p**2
    third = (30375 - 369603 * v**2 + 765765 * v**4 - 425425 * v**6) / 414720 * p**3
    value = root - nu * torch.asinh(nu / x) - 0.5 * torch.log(2 * torch.pi * root)
    return value + torch.log1p(first + second + third)


def _fraction(nu: Tensor, x: Tensor) -> Tensor:
    """`I_{nu + 1} / I_nu` by the fraction `r_nu = x / (2 (nu + 1) + x r_{nu + 1})`, from a bound of
    a late ratio (Amos 1974, eq. 16)."""
    late = nu + _STEPS
    ratio = x / (late + 0.5 + torch.hypot(late + 1.5, x))
    for k in range(_STEPS, 0, -1):
        ratio = x / (2 * (nu + k) + x * ratio)
    return ratio


_STEPS, _WIDE = 80, 150.0
"""Steps of the fraction, and the argument above which it would take more."""
