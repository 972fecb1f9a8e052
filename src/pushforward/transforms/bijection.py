"""What an invertible map of batches is."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

__all__ = ["Bijection"]


class Bijection(Protocol):
    """An invertible map of batches, such as a normalizing flow or a change of units."""

    def __call__(self, z: Tensor) -> Tensor:
        """The image of `z`, `(B, *event)`."""

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The preimage `z` of `x` and `log |det dz/dx|`, `(B,)`."""
