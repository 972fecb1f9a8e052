"""What makes fine fields of coarse ones: the common form of all methods."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Self

from torch import Tensor

from pushforward.downscaling.unpaired import Unpaired

__all__ = ["Downscaler", "Progress"]

Progress = Callable[[int, int], None]


class Downscaler(ABC):
    """Fine fields of coarse ones that were brought to the fine grid.

    Made with its settings, fitted to fields without pairs, then called. `pushforward downscale`
    knows those of `pushforward list downscalers`; what is made has the given coarse fields after
    `data.grid.constrained(made, x)`.
    """

    @abstractmethod
    def fit(self, data: Unpaired) -> Self:
        """Learn what there is to learn of the two distributions; returns itself."""

    @abstractmethod
    def __call__(self, x: Tensor, *, seed: int = 0, progress: Progress | None = None) -> Tensor:
        """Fine fields for coarse ones on the fine grid `(B, C, H, W)`, one each.

        Args:
            x: coarse fields, `grid.upsample(y)`.
            seed: of what is drawn at random; other seeds give other members of an ensemble.
            progress: called with the number of finished and of all steps.
        """
