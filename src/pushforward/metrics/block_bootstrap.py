"""Error bars of means over rows that follow each other in time, and how long these remember."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward._precision import in_double
from pushforward.errors import InputError

__all__ = ["BlockMeans", "MeanBand", "block_means", "decorrelation_time", "mean_band"]

_WINDOW = 5
"""Correlations are summed up to so many decorrelation times (Sokal 1997)."""

_FEWEST = 8
"""Decorrelation times that a series must last, to know it."""


def decorrelation_time(x: Tensor) -> float:
    r"""How many rows in time tell as much of a mean as one alone, at least 1.

    The integrated autocorrelation time `1 + 2 sum_k rho_k` of rows `(N, *event)`, with one `rho_k`
    for all columns, the mean of their own, summed up to the first `k >= 5 tau` (Sokal 1997), or
    the last before one that is not positive: all of them sum to nothing. `N` over it is the
    effective number of independent rows. Infinite where `N < 8 tau`, too short a series to tell,
    or where `x` does not vary.

    Raises `InputError` for fewer than four rows, NaN or infinity.

    >>> g = torch.Generator().manual_seed(0)
    >>> decorrelation_time(torch.randn(1000, 3, generator=g)) < 1.2
    True
    """
    rows = _rows(x)
    n = len(rows)
    rows = rows - rows.mean(0)
    rows = rows[:, rows.square().mean(0) > 0]
    if rows.shape[1] == 0:
        return math.inf
    rows = rows / rows.square().mean(0).sqrt()
    waves = torch.fft.rfft(rows, 2 * n, dim=0)
    power = waves.real.square() + waves.imag.square()
    rho = torch.fft.irfft(power.mean(1), 2 * n)[:n] / n
    taus = 2 * (rho / rho[0]).cumsum(0) - 1
    ended = torch.arange(n, device=taus.device) >= _WINDOW * taus
    # The next correlation is not positive: there is one, as all sum to minus a half.
    ended[:-1] |= rho[1:] <= 0
    tau = max(1.0, float(taus[int(ended.int().argmax())]))
    return tau if _FEWEST * tau <= n else math.inf


@dataclass(frozen=True)
class MeanBand:
    """A mean over rows, or a function of it, with a band for each of its numbers.

    Args:
        mean: `(*event)`.
        low, high: the ends of the bands.
        stderr: their standard errors.
        block: how many rows in time were drawn together.
        effective: the effective number of independent rows.
    """

    mean: Tensor
    low: Tensor
    high: Tensor
    stderr: Tensor
    block: int
    effective: float


class BlockMeans(NamedTuple):
    """The mean over rows in time, and what it might have been.

    Args:
        mean: `(*event)`.
        draws: means over rows that were drawn anew in blocks, `(resamples, *event)`, as far from
            `mean` as it may be from the truth.
        block: how many rows in time were drawn together.
        effective: the effective number of independent rows.
        student: Student's quantile over the normal one, at a level.
    """

    mean: Tensor
    draws: Tensor
    block: int
    effective: float
    student: Callable[[float], float]


def block_means(
    x: Tensor, *, block: int | None = None, resamples: int = 1000, seed: int = 0
) -> BlockMeans:
    r"""The mean over rows with resampled ones, by the circular block bootstrap.

    Blocks of rows that follow each other are drawn in the place of rows (Politis & Romano 1992), so
    that what rows share with their neighbors is not counted twice. The draws are widened by
    `sqrt(N / (N - b))` for blocks of `b`, what a mean of few blocks lacks.

    Args:
        x: rows in the order of time, `(N, *event)`.
        block: rows in a block; four decorrelation times by default, and a quarter of the rows at
            the most.
        resamples: how many.
        seed: of the draws.

    Raises `InputError` for fewer than four rows, NaN or infinity, or a block of no row or of more
    than half of them.

    >>> found = block_means(torch.randn(400, 2, generator=torch.Generator().manual_seed(0)))
    >>> found.draws.shape, bool((found.draws.std(0) - 0.05).abs().max() < 0.01)
    (torch.Size([1000, 2]), True)
    """
    rows = _rows(x)
    n, event = len(rows), x.shape[1:]
    tau = decorrelation_time(rows)
    if block is None:
        block = n // 4 if math.isinf(tau) else min(n // 4, math.ceil(4 * tau - 1e-9))
    if not 1 <= block <= n // 2:
        raise InputError(f"a block has 1 to {n // 2} of {n} rows, not {block}")
    g = torch.Generator().manual_seed(seed)
    count = math.ceil(n / block)
    starts = torch.randint(n, (resamples, count, 1), generator=g)
    numbers = ((starts + torch.arange(block)) % n).flatten(1)[:, :n]
    counts = torch.zeros(resamples, n, dtype=rows.dtype)
    counts.scatter_add_(1, numbers, torch.ones_like(numbers, dtype=rows.dtype))
    mean = rows.mean(0)
    off = (counts.to(rows.device) @ rows / n - mean) * math.sqrt(n / (n - block))
    return BlockMeans(
        mean.reshape(event),
        (mean + off).reshape(resamples, *event),
        block,
        n / tau,
        lambda level: _student(level, n / block - 1),
    )


def mean_band(
    x: Tensor,
    *,
    of: Callable[[Tensor], Tensor] = lambda mean: mean,
    level: float = 0.95,
    block: int | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> MeanBand:
    r"""The mean over rows in time with a band by the circular block bootstrap (`block_means`).

    Bands are widened by the ratio of Student's quantile with `N / b - 1` degrees of freedom to the
    normal one. With fewer than some thirty `effective` rows they may still cover a few per cent
    less than they say. Of the energies of fields this is the band of a spectrum.

    Args:
        x: rows in the order of time.
        of: a smooth function of means `(*, *event)`, of whose value the band is: a cumulant of the
            means of powers, a correlation of covariances.
        level: what a band covers.
        block: rows in a block; four decorrelation times by default, and a quarter of the rows at
            the most.
        resamples: how many.
        seed: of the draws.

    Raises `InputError` as `block_means` does, and for a level that is no fraction.

    >>> band = mean_band(torch.randn(400, generator=torch.Generator().manual_seed(0)))
    >>> bool(band.low < 0 < band.high), band.block
    (True, 5)
    """
    if not 0 < level < 1:
        raise InputError(f"the level of a band is between 0 and 1, not {level!r}")
    found = block_means(x, block=block, resamples=resamples, seed=seed)
    value = of(found.mean[None])[0]
    off = of(found.draws) - value
    tail = (1 - level) / 2
    wider = found.student(1 - tail)
    low, high = (value + wider * torch.quantile(off, q, dim=0) for q in (tail, 1 - tail))
    return MeanBand(value, low, high, off.std(0), found.block, found.effective)


def _student(level: float, degrees: float) -> float:
    """A quantile of Student's distribution over the normal one, by its expansion in `1 / degrees`
    (Cornish & Fisher 1938)."""
    z = NormalDist().inv_cdf(level)
    first = (z**2 + 1) / (4 * degrees)
    return 1 + first + (5 * z**4 + 16 * z**2 + 3) / (96 * degrees**2)


def _rows(x: Tensor) -> Tensor:
    """Rows as vectors in double precision."""
    if x.ndim < 1 or len(x) < 4:
        raise InputError(f"a series has four or more rows, not {tuple(x.shape)}")
    if not bool(x.isfinite().all()):
        raise InputError("a series with NaN or infinity has no mean: leave these rows out")
    return in_double(x).reshape(len(x), -1)
