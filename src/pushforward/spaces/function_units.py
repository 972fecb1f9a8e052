"""The units of functions: one shift and one scale for each channel, on any grid."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward import state
from pushforward._precision import NOISE, in_double, narrowed
from pushforward.errors import InputError
from pushforward.spaces.units import ShiftAndScale

__all__ = ["FunctionUnits"]


class FunctionUnits(ShiftAndScale):
    """`x = shift + scale z` with zero mean and unit variance over all values of a channel.

    Two numbers that do not depend on the points, so that they hold on any grid, and the noise
    keeps its covariance. Missing values, which are NaN, have no part in them.

    Args:
        event_shape: `(C, *sizes)`.

    >>> units = FunctionUnits((1, 3))
    >>> units.fit(torch.tensor([[[0.0, 2.0, torch.nan]], [[4.0, 2.0, 2.0]]]))
    >>> units.shift.flatten(), units.inverse(torch.tensor([[[2.0, 2.0, 2.0]]]))[0]
    (tensor([2.]), tensor([[[0., 0., 0.]]]))
    """

    def __init__(self, event_shape: state.EventShape) -> None:
        self.event_shape = tuple(event_shape)
        super().__init__((self.event_shape[0], *(1 for _ in self.event_shape[1:])))

    @torch.no_grad()
    def fit(self, x: Tensor, source: Tensor | None = None, *, common: bool = True) -> None:
        """Take a shift and a scale for each channel; from both sides alike, if there is a source. A
        channel of one value has the scale 1.

        Raises `InputError` for another event shape, or infinite values.
        """
        sides = (x,) if source is None else (x, source)
        for side in sides:
            if tuple(side.shape[1:]) != self.event_shape:
                raise InputError(
                    f"functions have shape {self.event_shape}, not {tuple(side.shape[1:])}"
                )
            if bool(side.isinf().any()):
                raise InputError("functions with infinite values cannot be standardized")
        axes = (0, *range(2, x.ndim))
        values = [in_double(side) for side in sides]
        shift = torch.stack([v.nanmean(axes, keepdim=True)[0] for v in values]).mean(0)
        squares = [(v - shift).square().nanmean(axes, keepdim=True)[0] for v in values]
        scale = torch.stack(squares).mean(0).sqrt()
        double = any(self.narrowed(side).dtype == torch.float64 for side in sides)
        rounding = NOISE[torch.float64 if double else torch.float32]
        scale = torch.where(scale > rounding * shift.abs(), scale, torch.ones_like(scale))
        self.keep(shift, scale, double=double)

    def forward(self, z: Tensor) -> Tensor:
        """From standardized to data units."""
        return self.put_on(z)

    def standardized(self, x: Tensor) -> Tensor:
        """From data to standardized units."""
        return self.taken_off(x)

    def narrowed(self, x: Tensor) -> Tensor:
        """In float32, unless a channel loses its resolution."""
        return narrowed(x)

    def log_det_inverse(self) -> Tensor:
        """Minus the logarithms of the scales, for each value."""
        return -self.scale.log().sum() * math.prod(self.event_shape[1:])

    @property
    def length(self) -> float:
        """The scale of functions of one channel."""
        return float(self.scale.flatten()[0]) if self.event_shape[0] == 1 else super().length
