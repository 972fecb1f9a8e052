"""Fine fields at random, whatever the coarse ones: the right distribution and no consistency."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from pushforward.downscaling.debiasing import fitted
from pushforward.downscaling.downscaler import Downscaler, Progress
from pushforward.downscaling.unpaired import Unpaired

__all__ = ["RandomPairing"]


class RandomPairing(Downscaler):
    """Fields of the target drawn at random, each as often as any other.

    Their statistics are those of the target, and they are as far from the source as unrelated
    fields are: the level that consistency by wavenumber is to be read against.

    >>> from pushforward.downscaling import Refinement
    >>> from pushforward.inverse import SpectralDownsample
    >>> grid = Refinement(SpectralDownsample(1), (1, 1, 1), (1, 1, 1), "waves")
    >>> data = Unpaired(torch.zeros(2, 1, 1, 1), torch.arange(3.0).reshape(3, 1, 1, 1), grid)
    >>> RandomPairing().fit(data)(torch.zeros(3, 1, 1, 1), seed=0).flatten().sort().values
    tensor([0., 1., 2.])
    """

    target: Tensor | None = None
    """The fields that are drawn from, `(M, C, H, W)`."""

    def fit(self, data: Unpaired) -> Self:
        """The fields of the target."""
        self.target = data.target
        return self

    def __call__(self, x: Tensor, *, seed: int = 0, progress: Progress | None = None) -> Tensor:
        """As many fields of the target as there are coarse ones."""
        g = torch.Generator().manual_seed(seed)
        target = fitted(self.target)
        times = -(-len(x) // len(target))
        rows = torch.cat([torch.randperm(len(target), generator=g) for _ in range(times)])
        return target[rows[: len(x)]].to(x)
