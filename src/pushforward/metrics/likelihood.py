"""Likelihood: negative log-likelihood in nats, and in bits per dimension."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.errors import InputError
from pushforward.estimates import LogProb
from pushforward.metrics.estimate import Estimate

__all__ = ["bits_per_dimension", "dequantized", "negative_log_likelihood"]

_FEW = 0.05
"""The share of values that may not have converged: so many are rejected by chance."""


def negative_log_likelihood(log_prob: LogProb) -> Estimate:
    """The mean of `-log p(x)` over held-out states, in nats, in the units of the data.

    Its standard error is that of a mean over states; what is random in each value, such as
    divergence probes, is part of the spread. An error that all values share, such as that of a
    normalizing constant, comes on top; that of discretization does not. It has not converged if
    more than one value in twenty has not.

    Args:
        log_prob: log-densities of at least 2 states, of a kind other than `unnormalized` and
            `none`. A `bound` from below gives a bound from above.

    Raises `InputError` for other kinds, for fewer states, and for NaN or infinity.

    >>> lp = LogProb(torch.tensor([-1.0, -3.0]), torch.zeros(2), "exact", nfe=1)
    >>> print(negative_log_likelihood(lp))
    2.0 ± 1.0
    """
    value = log_prob.value.detach().to("cpu", torch.float64)
    if log_prob.kind in ("unnormalized", "none"):
        raise InputError(
            f"log-probabilities of kind {log_prob.kind!r} have no scale: a likelihood needs "
            "normalized ones"
        )
    if value.ndim != 1 or len(value) < 2:
        raise InputError(
            f"log-probabilities have shape {tuple(value.shape)}; one for each of at least 2 states "
            "is needed"
        )
    bad = int((~torch.isfinite(value)).sum())
    if bad:
        raise InputError(
            f"{bad} of {len(value)} log-probabilities are NaN or infinite: the density vanishes or "
            "the solver failed there"
        )
    converged = log_prob.unconverged <= _FEW * len(value)
    return Estimate(-float(value.mean()), log_prob.mean_stderr(), len(value), converged)


def bits_per_dimension(
    log_prob: LogProb,
    dimension: int,
    *,
    levels: int | None = None,
    value_range: tuple[float, float] | None = None,
) -> Estimate:
    r"""The negative log-likelihood as a code length per number, in bits.

        (NLL - d log w) / (d log 2)

    with `w` the distance between two neighboring levels, `(high - low) / (levels - 1)`. A density
    at `x + w u`, `u` uniform on [-1/2, 1/2]^d, times `w^d`, is a lower bound in the mean on the
    probability of the cell of `x` (Theis, van den Oord & Bethge 2016): for densities taken at such
    dequantized points the result bounds the code length from above. At the levels themselves it
    bounds nothing: a density can be as high as it likes there.

    Args:
        log_prob: as in `negative_log_likelihood`.
        dimension: how many numbers a state has, `d`.
        levels, value_range: the equally spaced values that a number can take; without them `w` is
            1, and the result is the differential entropy rate in the units of the data.

    Raises `InputError` for one of `levels` and `value_range` without the other, or empty ranges.

    >>> lp = LogProb(torch.full((2,), -64 * math.log(17)), torch.zeros(2), "exact", 1)
    >>> print(bits_per_dimension(lp, 64, levels=17, value_range=(0, 16)))  # log2(17)
    4.087
    """
    if dimension < 1:
        raise InputError(f"dimension={dimension}: a state has at least one number")
    nats = negative_log_likelihood(log_prob)
    width = level_width(levels, value_range)
    scale = 1 / (dimension * math.log(2))
    bits = nats.value * scale - math.log2(width)
    return Estimate(bits, nats.stderr * scale, nats.n, nats.converged)


def dequantized(
    x: Tensor,
    levels: int | None,
    value_range: tuple[float, float] | None,
    *,
    seed: int | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Quantized data, each number spread uniformly over the cell of its level; other data as is.

    Raises `InputError` for levels that do not make sense.

    >>> x = dequantized(torch.tensor([0.0, 0.5, 1.0]), 3, (0.0, 1.0), seed=0)
    >>> (1 + 2 * x).round()
    tensor([1., 2., 3.])
    """
    width = level_width(levels, value_range)
    if levels is None:
        return x
    generator = resolve(seed, generator, x.device)
    uniform = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    return x + width * (uniform - 0.5)


def level_width(levels: int | None, value_range: tuple[float, float] | None) -> float:
    """The distance between neighboring levels; 1 if there are none.

    >>> level_width(256, (-1.0, 1.0)) == 2 / 255
    True
    """
    if levels is None and value_range is None:
        return 1.0
    if levels is None or value_range is None:
        raise InputError(
            f"levels={levels} and value_range={value_range} belong together: give both or none"
        )
    low, high = value_range
    if levels < 2 or not low < high:
        raise InputError(f"{levels} levels on {low:g}..{high:g}: there must be two, going up")
    return (high - low) / (levels - 1)
