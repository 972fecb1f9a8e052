"""The mean of coarse fields moved to that of fine ones: the simplest bias correction."""

from __future__ import annotations

from typing import Self

from torch import Tensor

from pushforward._precision import in_double
from pushforward.downscaling.debiasing import Debiasing, check_sides, fitted

__all__ = ["MeanShift"]


class MeanShift(Debiasing):
    """`x + (m_target - m_source)`, with the mean of each cell over rows.

    Where two scenarios differ in their climate alone this is the whole map, and nothing learned can
    be better.

    >>> import torch
    >>> found = MeanShift().fit(torch.zeros(2, 1, 2, 2), torch.full((3, 1, 2, 2), 5.0))
    >>> found(torch.ones(1, 1, 2, 2))[0, 0]
    tensor([[6., 6.],
            [6., 6.]])
    """

    shift: Tensor | None = None
    """`(C, H, W)`, once it is fitted."""

    def fit(self, source: Tensor, target: Tensor) -> Self:
        """The difference of the means."""
        check_sides(source, target)
        self.shift = in_double(target).mean(0) - in_double(source).mean(0)
        return self

    def __call__(self, x: Tensor, *, seed: int = 0) -> Tensor:
        """The fields moved; nothing is random."""
        return (x + fitted(self.shift).to(x.device)).to(x.dtype)
