"""Equally weighted states from weighted ones."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward._random import derived_seed
from pushforward.checks import whole
from pushforward.importance import log_mean

__all__ = ["PooledResampling", "systematic_resampling"]

_LEAST = 0.5
"""The share of equal weights that the effective size of a pool may fall to."""

_WIDEST = 0.5
"""The relative error of a pool's constant, over all its resamplings, up to which it is trusted."""

_FEWEST = 8.0
"""The effective size below which a pool is not resampled."""


def systematic_resampling(log_weights: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Which states to take, `(count,)`, so that each comes `count` times its weight in the mean.

    With weights `w_i` that sum to one it comes `floor(count w_i)` or `ceil(count w_i)` times
    (Kitagawa 1996): one uniform number places `count` equal steps on the sums of the weights. The
    order is random, so that any part of the result is a sample too.

    Args:
        log_weights: `(n,)`, up to a constant.
        count: how many to take.
        generator: on the CPU.

    Raises `InputError` for fewer than one.

    >>> weights = torch.tensor([0.5, 0.25, 0.25]).log()
    >>> picks = systematic_resampling(weights, 8, torch.Generator().manual_seed(0))
    >>> torch.bincount(picks)
    tensor([4, 2, 2])
    """
    whole("count", count)
    sums = log_weights.detach().cpu().double().softmax(0).cumsum(0)
    start = torch.rand((), generator=generator, dtype=torch.float64)
    places = (start + torch.arange(count, dtype=torch.float64)) / count
    # The last sum may fall short of one by rounding.
    picks = torch.searchsorted(sums, places, right=True).clamp(max=len(sums) - 1)
    return picks[torch.randperm(count, generator=generator)]


class PooledResampling:
    """Sequential Monte Carlo (del Moral et al. 2006) in pools of chains, for `mcmc.anneal`.

    A pool is resampled whenever the effective size of its weights falls below half, unless it is
    below eight: then a few chains would stand for all, and it goes on unchanged. What is drawn for
    a pool depends on its own chains and seed alone. A pool is doubtful, `lost`, where weights were
    too uneven for their mean to be trusted (`importance.log_mean`), or where the errors of all its
    resamplings together are more than a half.

    Args:
        size: chains in a pool; pools follow each other.
        seeds: of each pool.

    >>> pools = PooledResampling(64, [0])
    >>> weights = torch.arange(64.0).div(10)
    >>> pools(weights).unique().numel() < 64, weights.unique().tolist(), pools.lost
    (True, [0.0], [False])
    """

    def __init__(self, size: int, seeds: Sequence[int]) -> None:
        self.size, self.seeds = whole("size", size), list(seeds)
        self.lost = [False] * len(self.seeds)
        self.ess = [float(size)] * len(self.seeds)
        """The least effective size that the weights of a pool had where it was looked at."""
        self._variance = [0.0] * len(self.seeds)
        self._turn = 0

    def __call__(self, log_weights: Tensor, all_pools: bool = False) -> Tensor | None:
        """Which chains to go on with, `(B,)`, or `None` for all as they are.

        The weights of pools that are resampled become equal, in place. With `all_pools` all are
        looked at, as at the end.
        """
        self._turn += 1
        each = log_weights.reshape(len(self.seeds), self.size)
        sizes = (2 * each.logsumexp(1) - (2 * each).logsumexp(1)).exp().tolist()
        picks = None
        for k, ess in enumerate(sizes):
            if ess >= _LEAST * self.size and not all_pools:
                continue
            found = log_mean(each[k])
            self.ess[k] = min(self.ess[k], float(found.ess))
            self._variance[k] += float(found.stderr) ** 2
            if not bool(found.converged) or math.sqrt(self._variance[k]) > _WIDEST:
                self.lost[k] = True
            if ess < _FEWEST:
                continue
            if picks is None:
                picks = torch.arange(len(log_weights))
            generator = torch.Generator("cpu").manual_seed(derived_seed(self.seeds[k], self._turn))
            chosen = systematic_resampling(each[k], self.size, generator)
            picks[k * self.size : (k + 1) * self.size] = k * self.size + chosen
            each[k] = 0.0
        return None if picks is None else picks.to(log_weights.device)
