"""Monotone bijections of single numbers, whose parameters a network may give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from pushforward.checks import positive
from pushforward.config import configurable

__all__ = ["Additive", "Affine", "Elementwise", "OfTheLine"]


class Elementwise(Protocol):
    """A family of increasing bijections of the line, or of the circle.

    Zero parameters are the identity, so that a flow may start from it.
    """

    @property
    def parameters(self) -> int:
        """How many numbers one bijection takes."""

    @property
    def shown(self) -> int:
        """How many numbers of each entry a network sees: an angle has two, cosine and sine."""

    def show(self, x: Tensor) -> Tensor:
        """What a network sees of entries `(B, d)`: `(B, d * shown)`."""

    def push(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """The image of `z` and the logarithm of its slope, both shaped like `z`.

        `parameters` have shape `(*z.shape, parameters)`.
        """

    def inverse(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """The preimage of `x` and the logarithm of its slope."""


class OfTheLine:
    """A bijection of numbers that a network may see as they are."""

    shown = 1

    def show(self, x: Tensor) -> Tensor:
        """The numbers themselves."""
        return x


@configurable
@dataclass(frozen=True)
class Additive(OfTheLine):
    """`x = z + a`, which keeps volume (NICE: Dinh, Krueger & Bengio 2015).

    >>> Additive().push(torch.zeros(1), torch.tensor([[3.0]]))
    (tensor([3.]), tensor([0.]))
    """

    parameters = 1

    def push(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """A shift; the slope is one."""
        return z + parameters[..., 0], torch.zeros_like(z)

    def inverse(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """The shift taken back."""
        return x - parameters[..., 0], torch.zeros_like(x)


@configurable
@dataclass(frozen=True)
class Affine(OfTheLine):
    """`x = a + exp(s) z` (RealNVP: Dinh, Sohl-Dickstein & Bengio 2017).

    Args:
        bound: the largest `|s|`, which a smooth `s = bound tanh(b / bound)` never passes: scales
            stay within `exp(bound)` whatever the network says.

    Raises `InputError` for a bound that is not positive.

    >>> x, slope = Affine().push(torch.ones(1), torch.tensor([[3.0, 0.0]]))
    >>> x, slope
    (tensor([4.]), tensor([0.]))
    """

    bound: float = 5.0

    parameters = 2

    def __post_init__(self) -> None:
        positive("bound", self.bound)

    def push(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Scaled, then shifted."""
        shift, s = self._read(parameters)
        return torch.addcmul(shift, z, s.exp()), s

    def inverse(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Shifted back, then scaled back."""
        shift, s = self._read(parameters)
        return (x - shift) * (-s).exp(), -s

    def _read(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        shift, raw = parameters.unbind(-1)
        return shift, self.bound * torch.tanh(raw / self.bound)
