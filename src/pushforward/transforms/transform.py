"""Bijections that are learned: both directions, with their log-determinants."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from pushforward.config import configurable

__all__ = ["Composed", "Inverse", "Transform"]


class Transform(nn.Module):
    """A bijection of states `(B, *event)`, in a context `c` if it takes one.

    `forward` goes from the base to the data, `x = f(z)`; `inverse` from the data to the base. A
    transform is written in the direction that it computes in closed form; `Inverse` turns it round.
    """

    @abstractmethod
    def push(self, z: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The image `x` of `z` and `log |det dx/dz|`, `(B,)`."""

    @abstractmethod
    def inverse(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The preimage `z` of `x` and `log |det dz/dx|`, `(B,)`."""

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """The image of `z`, without its log-determinant."""
        return self.push(z, c)[0]

    def is_estimate(self, features: int) -> bool:
        """Whether log-determinants of events of so many numbers are random estimates."""
        return any(
            part.is_estimate(features)
            for part in self.modules()
            if isinstance(part, Transform) and part is not self
        )

    def prepare(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Take what a data-dependent start needs from a batch of data; its preimage.

        Most transforms start from nothing.
        """
        return self.inverse(x, c)[0]


@configurable
class Composed(Transform):
    """One transform after another: `f = f_n ( ... f_2(f_1(z)))`.

    >>> import torch
    >>> Composed([])(torch.ones(1, 2))
    tensor([[1., 1.]])
    """

    def __init__(self, parts: Sequence[Transform]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def push(self, z: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Through all parts, first to last."""
        return _through(self.parts, "push", z, c)

    def inverse(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Back through all parts, last to first."""
        return _through(reversed(list(self.parts)), "inverse", x, c)

    def prepare(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Each part sees what the later ones have made of the data."""
        part: Any
        for part in reversed(list(self.parts)):
            x = part.prepare(x, c)
        return x


@configurable
class Inverse(Transform):
    """A transform turned round: its inverse takes the base to the data."""

    def __init__(self, transform: Transform) -> None:
        super().__init__()
        self.transform = transform

    def push(self, z: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The inverse of the transform."""
        return self.transform.inverse(z, c)

    def inverse(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The transform itself."""
        return self.transform.push(x, c)


def _through(parts: Any, method: str, x: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
    total = x.new_zeros(len(x))
    for part in parts:
        x, log_det = getattr(part, method)(x, c)
        total = total + log_det
    return x, total
