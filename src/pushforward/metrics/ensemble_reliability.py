"""Whether ensembles are as wide as they are wrong: spread against skill, and ranks of the truth."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.errors import InputError
from pushforward.metrics.crps import of_ensemble
from pushforward.metrics.estimate import Estimate

__all__ = ["RankHistogram", "rank_histogram", "spread_skill"]


def spread_skill(ensemble: Tensor, truth: Tensor) -> Estimate:
    r"""The spread of an ensemble over the error of its mean, `(M, N, *)` and `(N, *)`: 1 if it is
    reliable, below 1 if it is too narrow.

    `sqrt((M + 1) / M mean var) / rmse` (Fortin et al. 2014): the mean of `M` members is off by
    `1 / M` of their variance itself, so that without the factor a perfect ensemble of 4 reads .89.
    The error is that of rows, by the linearized ratio.

    Raises `InputError` for fewer than two members or rows, other shapes, NaN, infinity, or a mean
    that is never wrong.

    >>> g = torch.Generator().manual_seed(0)
    >>> print(spread_skill(torch.randn(4, 5000, generator=g), torch.randn(5000, generator=g)))
    1.004 ± 0.012
    """
    x, y = of_ensemble(ensemble, truth)
    if y.ndim < 1 or len(y) < 2:
        raise InputError("spread and skill are compared over two or more rows")
    m, rows = len(x), len(y)
    variance = ((m + 1) / m * x.var(0)).reshape(rows, -1).mean(1)
    square = (x.mean(0) - y).square().reshape(rows, -1).mean(1)
    if not float(square.mean()) > 0:
        raise InputError("the mean of the ensemble is never wrong: there is nothing to compare")
    ratio = float(variance.mean() / square.mean())
    error = float((variance - ratio * square).std()) / math.sqrt(rows) / float(square.mean())
    value = math.sqrt(ratio)
    return Estimate(value, error / (2 * value) if value > 0 else math.nan, rows)


@dataclass(frozen=True)
class RankHistogram:
    """How often the truth had each rank among the members.

    Args:
        counts: `(M + 1,)`, int64.
        p_value: of the chi-square test against equal counts, of independent cases.
    """

    counts: Tensor
    p_value: float

    @property
    def divergence(self) -> float:
        """The relative entropy of the frequencies to equal ones, in nats: 0 if flat."""
        share = self.counts.double() / self.counts.sum()
        return float(torch.special.entr(share).sum().neg() + math.log(len(share)))


def rank_histogram(ensemble: Tensor, truth: Tensor, *, seed: int = 0) -> RankHistogram:
    """The ranks of the truth among members, over all numbers, `(M, *)` and `(*)`.

    Flat for a reliable ensemble, like a valley for one that is too narrow (Hamill 2001). Among
    equal values, such as zeros of rain, the rank is drawn at random by `seed`. Neighbors on a grid
    and in time are not independent, and the test rejects too easily then: give some of them.

    Raises `InputError` for other shapes, NaN or infinity.

    >>> g = torch.Generator().manual_seed(0)
    >>> found = rank_histogram(torch.randn(3, 4000, generator=g), torch.randn(4000, generator=g))
    >>> found.counts.tolist(), found.p_value > 0.01
    ([959, 978, 1009, 1054], True)
    """
    x, y = of_ensemble(ensemble, truth, least=1)
    below = (x < y).sum(0)
    equal = (x == y).sum(0)
    chance = torch.rand(y.shape, generator=resolve(seed), dtype=torch.float64).to(y.device)
    ranks = below + (chance * (equal + 1)).floor().long()
    counts = torch.bincount(ranks.flatten(), minlength=len(x) + 1)
    expected = counts.sum().double() / len(counts)
    statistic = ((counts.double() - expected).square() / expected).sum()
    freedom = torch.tensor(len(x) / 2, dtype=torch.float64)
    p_value = torch.special.gammaincc(freedom, statistic.cpu() / 2)
    return RankHistogram(counts, float(p_value))
