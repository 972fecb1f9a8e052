"""The units of fields: a shift and a scale for each variable."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward import state
from pushforward._precision import NOISE, in_double, narrowed
from pushforward.errors import InputError
from pushforward.spaces.units import ShiftAndScale

__all__ = ["ChannelUnits"]


class ChannelUnits(ShiftAndScale):
    """`x = shift + scale z` with zero mean and unit variance over the cells of each variable.

    Unlike the channels of a picture, whose common scale keeps its contrast, variables have units of
    their own, pascals beside kelvins: lengths, such as the `sigma` of a bridge, are in standard
    deviations of each, also where there is one. Cells without values are zero on both sides.

    Args:
        event_shape: `(C, *sizes)`.
        mask: where there are values, of that shape; everywhere by default.

    >>> units = ChannelUnits((2, 2))
    >>> units.fit(torch.tensor([[[0.0, 2.0], [100.0, 300.0]]]))
    >>> units.inverse(torch.tensor([[[2.0, 0.0], [300.0, 200.0]]]))[0]
    tensor([[[ 1., -1.],
             [ 1.,  0.]]])
    """

    def __init__(self, event_shape: state.EventShape, mask: Tensor | None = None) -> None:
        self.event_shape = tuple(event_shape)
        super().__init__((self.event_shape[0], *(1 for _ in self.event_shape[1:])))
        self.register_buffer("mask", mask, persistent=False)

    mask: Tensor | None

    @torch.no_grad()
    def fit(self, x: Tensor, source: Tensor | None = None, *, common: bool = True) -> None:
        """Take a shift and a scale for each variable from fields; from both sides alike, if there
        is a source. A variable of one value has the scale 1.

        Raises `InputError` for another event shape, or values that are not finite.
        """
        sides = [self._checked(side) for side in ((x,) if source is None else (x, source))]
        shift = torch.stack([self._mean(side) for side in sides]).mean(0)
        squares = torch.stack([self._mean((side - shift).square()) for side in sides]).mean(0)
        given = (x,) if source is None else (x, source)
        double = any(self.narrowed(side).dtype == torch.float64 for side in given)
        scale = squares.sqrt()
        rounding = NOISE[torch.float64 if double else torch.float32]
        scale = torch.where(scale > rounding * shift.abs(), scale, torch.ones_like(scale))
        self.keep(shift, scale, double=double)

    def forward(self, z: Tensor) -> Tensor:
        """From standardized to data units."""
        return self._masked(self.put_on(z))

    def standardized(self, x: Tensor) -> Tensor:
        """From data to standardized units."""
        return self._masked(self.taken_off(x))

    def narrowed(self, x: Tensor) -> Tensor:
        """In float32, unless a variable loses its resolution."""
        return narrowed(x)

    def log_det_inverse(self) -> Tensor:
        """Minus the logarithms of the scales, for each cell that has a value."""
        each = -self.scale.log().expand(self.event_shape)
        return each.sum() if self.mask is None else (each * self.mask).sum()

    def _masked(self, x: Tensor) -> Tensor:
        return x if self.mask is None else torch.where(self.mask.to(x.device), x, 0.0)

    def _mean(self, x: Tensor) -> Tensor:
        """Over rows and cells with values, `(C, 1, ...)`."""
        cells = tuple(range(1, len(self.event_shape)))
        if self.mask is None:
            return x.mean(0).mean(cells, keepdim=True)
        mask = self.mask.to(x)
        count = mask.sum(cells, keepdim=True).clamp(min=1)
        return (x.mean(0) * mask).sum(cells, keepdim=True) / count

    def _checked(self, x: Tensor) -> Tensor:
        if tuple(x.shape[1:]) != self.event_shape:
            raise InputError(f"fields have shape {tuple(x.shape[1:])}, not {self.event_shape}")
        x = self._masked(x)
        if not bool(x.isfinite().all()):
            raise InputError("fields with values that are not finite cannot be standardized")
        return in_double(x)
