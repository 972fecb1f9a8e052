"""The coarse field itself as the fine one: what every method has to beat."""

from __future__ import annotations

from typing import Self

from torch import Tensor

from pushforward.downscaling.downscaler import Downscaler, Progress
from pushforward.downscaling.unpaired import Unpaired

__all__ = ["Persistence"]


class Persistence(Downscaler):
    """`x = A^+ y`: the coarse field on the fine grid, without anything that it does not know.

    Its coarse field is the given one exactly, and it has no small scales at all.
    """

    def fit(self, data: Unpaired) -> Self:
        """Nothing is learned."""
        return self

    def __call__(self, x: Tensor, *, seed: int = 0, progress: Progress | None = None) -> Tensor:
        """The same fields."""
        return x.clone()
