r"""Means of importance weights, and whether their errors can be believed.

The mean of `n` weights is unbiased, and still far off if most of it rests on weights so rare that
none was drawn: then the spread of those that were drawn says nothing of the error. The largest
weights tell of the rest. Above a high threshold the distribution of any weight tends to a
generalized Pareto one (Pickands 1975) whose shape `k`, fitted by Zhang & Stephens (2009), measures
how heavy the tail is: the mean of the weights has a finite variance for `k < 1/2` and converges
too slowly to be of use from `k = 0.7` (Vehtari et al. 2024).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["WIDEST", "WIDEST_OF_CHAINS", "LogMean", "log_mean", "pareto_shape"]

_LEAST = 10
"""Weights that a tail can be fitted to."""

_SHARE, _FEWEST, _ENOUGH = 0.2, 8.0, 200.0
"""The share of all weights that the effective sample size has to be, within these bounds."""

_HEAVIEST = 0.7
"""The shape of a tail from which a mean converges too slowly."""

WIDEST = 0.25
"""The relative standard error up to which the logarithm of a mean is normal enough for one."""

WIDEST_OF_CHAINS = 0.15
"""The same of annealed chains: few that all fall short of where they should have gone look alike,
and only the spread of their weights tells."""

_EVEN = 1e-3
"""The relative differences of weights that are rounding, after hundreds of steps in float32."""

_STEEPEST = 0.95
"""The tail by which an error is computed at the most, so that it stays finite."""


class LogMean(NamedTuple):
    """The logarithm of the mean of some weights, all of the shape of one weight.

    Args:
        value: `log mean w`.
        stderr: its standard error, see `log_mean`.
        ess: the effective sample size, `(sum w)^2 / sum w^2`.
        k_hat: the shape of the weights' tail, see `pareto_shape`.
        converged: whether value and error can be trusted.
    """

    value: Tensor
    stderr: Tensor
    ess: Tensor
    k_hat: Tensor
    converged: Tensor


def log_mean(log_weights: Tensor, widest: float = WIDEST) -> LogMean:
    r"""`log mean exp` over the first axis of log-weights `(n, ...)`, with an error to believe.

    The standard error adds two in quadrature: that of the delta method,
    `sd(w) / (mean(w) sqrt(n))`, and the excess over the mean of the largest `1/n` of the fitted
    tail, which a sample of `n` draws about once and often not at all. It is never below the
    rounding of the value, in the precision of the log-weights.

    A mean has converged if the tail is light, `k < 0.7`; if the effective sample size is a fifth of
    `n`, at least 8 and at most 200; and if the standard error is at most `widest`. Weights that are
    equal up to rounding have converged. What no weight tells is a part of the integral that no
    sample came near: a mode that was missed. Nor does a power law: of `u^-0.8` for uniform `u` one
    mean in seven of 100 weights passes and is off by more than three of its errors.

    >>> even = torch.full((100,), 2.0).log()
    >>> [round(float(part), 4) for part in log_mean(even)[:2]]
    [0.6931, 0.0]
    >>> found = log_mean(4 * torch.randn(100, generator=torch.Generator().manual_seed(0)))
    >>> bool(found.converged), bool(found.ess < 10)
    (False, True)
    """
    n, like = len(log_weights), log_weights
    # Some accelerators have no double precision.
    logs = log_weights.detach().cpu().double()
    value = logs.logsumexp(0) - math.log(n)
    weights = (logs - value).exp()
    ess = n / weights.square().mean(0)
    spread = torch.full_like(value, math.inf) if n < 2 else weights.std(0) / math.sqrt(n)
    k, beyond = _tail(weights)
    rounding = torch.finfo(like.dtype).eps * (1 + value.abs())
    stderr = torch.hypot(torch.hypot(spread, beyond), rounding)
    least = min(max(_FEWEST, _SHARE * n), _ENOUGH)
    # Comparisons with NaN are false: what cannot be judged has not converged.
    converged = (k < _HEAVIEST) & (ess >= least) & (stderr <= widest)
    converged |= ((weights - 1).abs().amax(0) <= _EVEN) & spread.isfinite()
    value, stderr, ess, k = (part.to(like) for part in (value, stderr, ess, k))
    return LogMean(value, stderr, ess, k, converged.to(like.device))


def pareto_shape(log_weights: Tensor) -> Tensor:
    """The shape `k` of the tail of weights, from their logarithms `(n, ...)`: Pareto k-hat.

    By the `min(n / 5, 3 sqrt(n))` largest, at least 5. It is minus infinity if these are equal, NaN
    for fewer than ten weights.

    >>> u = torch.rand(20000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    >>> round(float(pareto_shape(-0.6 * u.log())), 1)  # w = u^-0.6
    0.6
    """
    return log_mean(log_weights).k_hat


def _tail(weights: Tensor) -> tuple[Tensor, Tensor]:
    """The shape of the tail of weights of mean one, and the excess of its largest `1/n`."""
    n = len(weights)
    if n < _LEAST:
        unknown = torch.full_like(weights[0], math.nan)
        return unknown, torch.zeros_like(unknown)
    count = max(5, min(n // 5, int(3 * math.sqrt(n))))
    ordered = weights.topk(count + 1, 0).values
    cut, excess = ordered[-1], (ordered[:-1] - ordered[-1]).flip(0)
    largest = excess[-1]
    flat = ~(largest > 1e-12)
    # Equal weights have no tail; their fit is not used.
    scale = torch.where(flat, torch.ones_like(largest), largest)
    k, sigma = _generalized_pareto((excess / scale).clamp(min=1e-10))
    sigma = sigma * scale
    # The level that one weight of n exceeds, and the mean of those that do: none for k >= 1.
    steep = torch.where(k.abs() < 1e-9, torch.full_like(k, 1e-9), k).clamp(max=_STEEPEST)
    level = sigma * torch.expm1(steep * math.log(count)) / steep
    mean = cut + level + (sigma + steep * level) / (1 - steep)
    none = torch.zeros_like(k)
    beyond = torch.where(flat, none, ((mean - 1) / n).clamp(min=0))
    return torch.where(flat, none - math.inf, k), beyond


def _generalized_pareto(y: Tensor) -> tuple[Tensor, Tensor]:
    """Shape and scale of excesses `(m, ...)` in increasing order, `(...)` each.

    The shape is drawn towards 1/2 like by ten more observations, which keeps it from its own noise
    in small samples (Vehtari et al. 2024, appendix G).
    """
    m = len(y)
    grid = 30 + int(math.sqrt(m))
    j = torch.arange(1, grid + 1, dtype=y.dtype).reshape(-1, *(1,) * (y.ndim - 1))
    quartile = y[max(int(m / 4 + 0.5), 1) - 1]
    b = (1 - (grid / (j - 0.5)).sqrt()) / (3 * quartile) + 1 / y[-1]
    shapes = torch.log1p(-b.unsqueeze(1) * y).mean(1)
    likelihood = m * ((-b / shapes).log() - shapes - 1)
    b = (b * likelihood.softmax(0)).sum(0)
    k = torch.log1p(-b * y).mean(0)
    return (m * k + 10 * 0.5) / (m + 10), -k / b
