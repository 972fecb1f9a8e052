"""Quantile mapping: values replaced by those of the same rank in another climate."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from pushforward._precision import in_double
from pushforward.checks import whole
from pushforward.downscaling.debiasing import Debiasing, check_sides, fitted

__all__ = ["QuantileMapping"]


class QuantileMapping(Debiasing):
    r"""`F_target^{-1}(F_source(x))`, value by value and variable by variable (Wood et al. 2004).

    The optimal transport of one dimension: the frequencies of values are those of the target, and
    ranks stay, so that patterns are those of the source and spectra come out as they may. Beyond
    the values that were seen, what the outermost quantile was moved by.

    Args:
        each_cell: map each cell by itself, for domains whose places differ; by default all cells
            of a variable together, for those where none differs.
        levels: how many quantiles, or as many as there are values on the smaller side.

    >>> g = torch.Generator().manual_seed(0)
    >>> x = torch.randn(400, 1, 4, 4, generator=g)
    >>> y = QuantileMapping().fit(x, x.exp())(x)
    >>> bool(((y - x.exp()).abs() < 0.05 * x.exp() + 0.01).float().mean() > 0.99)
    True
    """

    quantiles: tuple[Tensor, Tensor] | None = None
    """Of source and target at the same levels, `(C, cells, levels)`; one cell stands for all."""

    def __init__(self, each_cell: bool = False, levels: int = 1000) -> None:
        self.each_cell, self.levels = each_cell, whole("levels", levels, 2)

    def fit(self, source: Tensor, target: Tensor) -> Self:
        """The quantiles of both sides."""
        check_sides(source, target)
        sides = [_pooled(in_double(side), self.each_cell) for side in (source, target)]
        count = min(self.levels, *(side.shape[-1] for side in sides))
        # In the middle of equal parts: no level rests on the single most extreme value.
        at = (torch.arange(count, dtype=torch.float64) + 0.5) / count
        self.quantiles = _quantiles(sides[0], at), _quantiles(sides[1], at)
        return self

    def __call__(self, x: Tensor, *, seed: int = 0) -> Tensor:
        """The fields with values of the target; nothing is random."""
        flat = in_double(x).flatten(2).permute(1, 2, 0)  # (C, H W, B)
        known, to = (side.to(x.device) for side in fitted(self.quantiles))
        values = flat if self.each_cell else flat.reshape(len(flat), 1, -1)
        at = torch.searchsorted(known, values.contiguous()).clamp(1, known.shape[2] - 1)
        low, high = (known.gather(2, at - k) for k in (1, 0))
        start, end = (to.gather(2, at - k) for k in (1, 0))
        part = torch.where(high > low, (values - low) / (high - low), 0.5)
        # Outside of all quantiles the outermost one says how far to go.
        beyond = values - torch.where(part > 1, high, low)
        inside = start + part.clamp(0, 1) * (end - start)
        found = torch.where((part < 0) | (part > 1), inside + beyond, inside)
        return found.reshape(flat.shape).permute(2, 0, 1).reshape(x.shape).to(x.dtype)

    def __repr__(self) -> str:
        return f"QuantileMapping(each_cell={self.each_cell}, levels={self.levels})"


def _pooled(x: Tensor, each_cell: bool) -> Tensor:
    """All values of each variable, or of each of its cells, `(C, cells, values)`."""
    values = x.flatten(2).permute(1, 2, 0)
    return values if each_cell else values.reshape(len(values), 1, -1)


def _quantiles(values: Tensor, at: Tensor) -> Tensor:
    """Quantiles of the last axis, of any number of values."""
    ordered = values.sort(-1).values
    place = (at.to(values.device) * ordered.shape[-1] - 0.5).clamp(0, ordered.shape[-1] - 1)
    low = place.floor().long()
    high = (low + 1).clamp(max=ordered.shape[-1] - 1)
    rest = place - low
    return ordered[..., low] * (1 - rest) + ordered[..., high] * rest
