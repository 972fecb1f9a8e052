"""Quantile mapping: values replaced by those of the same rank in another climate."""

from __future__ import annotations

import math
from typing import Self

import torch
from torch import Tensor

from pushforward._precision import in_double
from pushforward._random import uniform_like
from pushforward._row_noise import RowNoise
from pushforward.downscaling.debiasing import Debiasing, check_sides, fitted

__all__ = ["QuantileMapping"]

_BOUND = 0.01
"""Share of the values of the target that are its lowest or highest one, from which on that is a
bound, as zero is of rain."""


class QuantileMapping(Debiasing):
    r"""`F_target^{-1}(F_source(x))`, value by value and variable by variable (Wood et al. 2004).

    The optimal transport of one dimension: the frequencies of values are those of the target, and
    ranks stay, so that patterns are those of the source and spectra come out as they may. All
    values of both sides count, the most extreme ones too. What lies beyond these moves as far as
    the outermost one, but not past an outermost value of the target that one in a hundred of its
    values share, as none falls below the zero of dry cells.

    Values that the source has several times, such as that zero, have no rank of their own: each
    draws one of those that they share, cell by cell, so that as many cells are dry as in the
    target. Which of the dry cells become wet has no pattern.

    Args:
        each_cell: map each cell by itself, for domains whose places differ; by default all cells
            of a variable together, for those where none differs.

    >>> g = torch.Generator().manual_seed(0)
    >>> x = torch.randn(400, 1, 4, 4, generator=g)
    >>> y = QuantileMapping().fit(x, x.exp())(x)
    >>> torch.equal(y, x.exp())
    True
    """

    ordered: tuple[Tensor, Tensor] | None = None
    """The values of source and target, `(C, cells, values)`; one cell stands for all."""

    def __init__(self, each_cell: bool = False) -> None:
        self.each_cell = each_cell

    def fit(self, source: Tensor, target: Tensor) -> Self:
        """The ordered values of both sides, in the precision that they have."""
        check_sides(source, target)
        a, b = (_pooled(side, self.each_cell).sort(-1).values for side in (source, target))
        self.ordered = a, b
        return self

    def __call__(self, x: Tensor, *, seed: int = 0) -> Tensor:
        """The fields with values of the target; the ranks of equal values are drawn."""
        y = in_double(x)
        known, to = (in_double(side).to(y.device) for side in fitted(self.ordered))
        chance = uniform_like(y, RowNoise(seed, slice(0, len(y)), y.device))
        rank, beyond = _ranks(known, *(_pooled(part, self.each_cell) for part in (y, chance)))
        # Each value stands in the middle of its part of the probability.
        last = to.shape[-1] - 1
        place = ((rank + 0.5) * (to.shape[-1] / known.shape[-1]) - 0.5).clamp(0, last)
        low = place.floor().long()
        start, end = (to.gather(2, k) for k in (low, (low + 1).clamp(max=last)))
        share = min(last, max(1, math.ceil(_BOUND * last)))
        floor, ceiling = to[..., :1] == to[..., share, None], to[..., -1:] == to[..., ~share, None]
        bounded = ((beyond < 0) & floor) | ((beyond > 0) & ceiling)
        found = start + (place - low) * (end - start) + beyond.masked_fill(bounded, 0.0)
        return found.reshape(*x.shape[1:], len(x)).movedim(-1, 0).contiguous().to(x)

    def __repr__(self) -> str:
        return f"QuantileMapping(each_cell={self.each_cell})"


def _pooled(x: Tensor, each_cell: bool) -> Tensor:
    """All values of each variable, or of each of its cells, `(C, cells, values)`."""
    values = x.flatten(2).permute(1, 2, 0)
    return (values if each_cell else values.reshape(len(values), 1, -1)).contiguous()


def _ranks(known: Tensor, values: Tensor, chance: Tensor) -> tuple[Tensor, Tensor]:
    """Ranks of values among ordered ones, from 0 on, and how far they lie beyond all of these.

    Of equal known values one is drawn by numbers on [0, 1); between two of them ranks are linear.
    """
    below = torch.searchsorted(known, values)
    equal = torch.searchsorted(known, values, right=True) - below
    drawn = below + (chance * equal).floor()
    last = known.shape[-1] - 1
    high = below.clamp(1, last)
    start, end = known.gather(2, high - 1), known.gather(2, high)
    part = (values - start) / (end - start)
    rank = torch.where(equal > 0, drawn, high - 1 + part.clamp(0, 1))
    # NaN is beyond everything, and stays what it is.
    beyond = values - values.clamp(known[..., :1], known[..., -1:])
    return rank.nan_to_num(), beyond
