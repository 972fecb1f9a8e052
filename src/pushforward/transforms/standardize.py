"""The shift and scale that bring data to zero mean and unit variance."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from pushforward.errors import InputError

__all__ = ["Bijection", "Standardize"]


class Bijection(Protocol):
    """An invertible map of batches, such as a normalizing flow or a change of units."""

    def __call__(self, z: Tensor) -> Tensor:
        """The image of `z`, `(B, *event)`."""

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The preimage `z` of `x` and `log |det dz/dx|`, `(B,)`."""


class Standardize(nn.Module):
    """`x = shift + scale z`, fitted to data and stored with the model that uses it.

    A vector gets a shift and a scale per feature; an image `(C, H, W)` a shift per channel and one
    scale for all, so that pictures keep their contrast. Until `fit` is called it is the identity.

    >>> units = Standardize((2,))
    >>> units.fit(torch.tensor([[0.0, 5.0], [2.0, 5.0], [4.0, 5.0]]))
    >>> units.inverse(torch.tensor([[4.0, 5.0]]))[0]
    tensor([[1., 0.]])
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, event_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        shape = (self.event_shape[0], 1, 1) if len(self.event_shape) == 3 else self.event_shape
        self.register_buffer("shift", torch.zeros(shape))
        self.register_buffer("scale", torch.ones(shape))

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """Take shift and scale from data `(N, *event)`.

        A feature that does not vary keeps the scale 1: there is nothing to bring to unit variance.
        Raises `InputError` for another event shape, fewer than two rows, or non-finite values.
        """
        if tuple(x.shape[1:]) != self.event_shape:
            raise InputError(f"events have shape {tuple(x.shape[1:])}, not {self.event_shape}")
        if len(x) < 2:
            raise InputError("standardization needs at least two data points")
        if not torch.isfinite(x).all():
            raise InputError("data with non-finite values cannot be standardized")
        # Double precision: a large offset would swallow the variance in float32.
        x = x.double()
        if x.ndim == 4:
            shift = x.mean((0, 2, 3), keepdim=True)[0]
            scale = (x - shift).square().mean().sqrt().expand_as(shift)
        else:
            shift = x.mean(0)
            scale = (x - shift).square().sum(0).div(len(x) - 1).sqrt()
        # What float32 leaves of a constant is no variation.
        varies = scale > torch.finfo(torch.float32).eps * shift.abs()
        self.shift.copy_(shift)
        self.scale.copy_(torch.where(varies & (scale > 0), scale, torch.ones_like(scale)))

    def forward(self, z: Tensor) -> Tensor:
        """From standardized to data units."""
        return self.shift + self.scale * z

    def standardized(self, x: Tensor) -> Tensor:
        """From data to standardized units."""
        return (x - self.shift) / self.scale

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """From data to standardized units, with the log-determinant."""
        return self.standardized(x), self.log_det_inverse().expand(len(x))

    def log_det_inverse(self) -> Tensor:
        """`log |det dz/dx|`, the same for every state."""
        return -self.scale.log().expand(self.event_shape).sum()
