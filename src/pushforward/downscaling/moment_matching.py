"""Mean and standard deviation of each variable of coarse fields made those of fine ones."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from pushforward._precision import in_double
from pushforward.downscaling.debiasing import Debiasing, check_sides, fitted

__all__ = ["MomentMatching"]


class MomentMatching(Debiasing):
    """`m_t + s_t (x - m_s) / s_s` with mean and deviation of each variable, over rows and cells.

    A field standardized by its own statistics and put into the units of the target, as published
    bridges by noise do (Bischoff & Deck 2024). The spectrum keeps its shape.

    >>> g = torch.Generator().manual_seed(0)
    >>> x = torch.randn(50, 1, 8, 8, generator=g)
    >>> y = MomentMatching().fit(x, 3 * x + 7)(x)
    >>> torch.allclose(y, 3 * x + 7, atol=1e-4)
    True
    """

    moments: tuple[Tensor, Tensor, Tensor, Tensor] | None = None
    """Mean and deviation of each variable of source and target, `(C, 1, 1)` each."""

    def fit(self, source: Tensor, target: Tensor) -> Self:
        """The moments of both sides; what does not vary is only moved."""
        check_sides(source, target)
        self.moments = (*_moments(source), *_moments(target))
        return self

    def __call__(self, x: Tensor, *, seed: int = 0) -> Tensor:
        """The fields in the statistics of the target; nothing is random."""
        mean, deviation, to, scale = (part.to(x.device) for part in fitted(self.moments))
        varies = deviation > 0
        gain = torch.where(varies, scale / torch.where(varies, deviation, 1.0), 1.0)
        return (to + gain * (x - mean)).to(x.dtype)


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    x = in_double(x)
    mean = x.mean((0, 2, 3), keepdim=True)
    return mean[0], (x - mean).square().mean((0, 2, 3), keepdim=True).sqrt()[0]
