"""Equally weighted states from weighted ones."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.checks import whole

__all__ = ["systematic_resampling"]


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
