"""The units of fields: a shift and a scale for each variable."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from pushforward import state
from pushforward._precision import NOISE, in_double, narrowed
from pushforward.errors import InputError
from pushforward.spaces.units import ShiftAndScale

__all__ = ["ChannelUnits"]

_NUMBERS = 1 << 22
"""Of rows that are looked at at a time."""


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
        sides = (x,) if source is None else (x, source)
        shift = torch.stack([self._mean(side) for side in sides]).mean(0)
        squares = [self._mean(side, lambda part: (part - shift).square()) for side in sides]
        double = any(self.narrowed(side).dtype == torch.float64 for side in sides)
        scale = torch.stack(squares).mean(0).sqrt()
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

    def _mean(self, x: Tensor, of: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Over rows and cells with values, `(C, 1, ...)`; of what is asked of parts of the rows."""
        total, rows = torch.zeros(()), 0
        for part in self._parts(x):
            total = total + (part if of is None else of(part)).sum(0)
            rows += len(part)
        cells = tuple(range(1, len(self.event_shape)))
        mean = total / rows
        if self.mask is None:
            return mean.mean(cells, keepdim=True)
        mask = self.mask.to(mean)
        return (mean * mask).sum(cells, keepdim=True) / mask.sum(cells, keepdim=True).clamp(min=1)

    def _parts(self, x: Tensor) -> Iterator[Tensor]:
        """Rows in double precision, few enough at a time that their copies take little memory."""
        if tuple(x.shape[1:]) != self.event_shape:
            raise InputError(f"fields have shape {tuple(x.shape[1:])}, not {self.event_shape}")
        for rows in x.split(max(1, _NUMBERS // math.prod(self.event_shape))):
            part = self._masked(rows)
            if not bool(part.isfinite().all()):
                raise InputError("fields with values that are not finite cannot be standardized")
            yield in_double(part)
