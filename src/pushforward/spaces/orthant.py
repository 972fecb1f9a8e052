"""Positive vectors: amounts, concentrations, intensities."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward import state
from pushforward._random import normal_like
from pushforward._shapes import flatten, per_event_sum
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.spaces.euclidean import check_numbers, view_vectors
from pushforward.spaces.space import ContinuousSpace, coordinate_axes
from pushforward.spaces.units import ShiftAndScale, Units
from pushforward.spaces.views import View

__all__ = ["Orthant"]


@configurable
@dataclass(frozen=True)
class Orthant(ContinuousSpace):
    """Vectors without negative entries; a step that would leave them is reflected.

    States are data over their mean, column by column. Lengths are Euclidean, densities per unit of
    the data.

    Args:
        dim: the length of a vector, where a table has columns for other things too.

    >>> Orthant().exp(torch.tensor([[1.0, 0.5]]), torch.tensor([[0.5, -0.75]]))
    tensor([[1.5000, 0.2500]])
    """

    dim: int | None = None

    pictures = False

    def check(self, x: Tensor) -> None:
        """Numbers that are not negative."""
        check_numbers(x, "a vector of amounts")
        if self.dim is not None and tuple(x.shape[1:]) != (self.dim,):
            raise InputError(f"states are vectors of {self.dim}, not {tuple(x.shape[1:])}")
        low = flatten(x.detach()) < 0
        if bool(low.any()):
            i, k = low.nonzero()[0].tolist()
            raise InputError(f"row {i} holds {float(flatten(x)[i, k]):g}: amounts are not negative")

    def units(self, event_shape: state.EventShape) -> Units:
        """The mean of each column is one."""
        return _Means(event_shape)

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """`|x + v|`."""
        return (x + v).abs()

    def nearest(self, x: Tensor) -> Tensor:
        """Negative entries become zero."""
        return x.clamp_min(0)

    def randn(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Independent standard normal entries."""
        return normal_like(x, generator)

    def squared_norm(self, x: Tensor, v: Tensor) -> Tensor:
        """The sum of squares, `(B,)`."""
        return per_event_sum(v.square())

    def dimension(self, event_shape: tuple[int, ...]) -> int:
        """The number of entries."""
        return math.prod(event_shape)

    def frame(self, x: Tensor) -> Tensor:
        """The coordinate axes."""
        return coordinate_axes(x)

    def features(self, x: Tensor) -> Tensor:
        """Roots, whose noise is that of counts at every size."""
        return flatten(x.clamp_min(0).sqrt())

    def common_scale(self, event_shape: state.EventShape) -> bool:
        """The entries may have a unit each."""
        return False

    def embed(self, x: Tensor) -> Tensor:
        """Roots."""
        return x.clamp_min(0).sqrt()

    def views(self, x: Tensor) -> tuple[View, ...]:
        """As those of vectors."""
        return view_vectors(x)

    @property
    def width(self) -> int | None:
        """`dim`."""
        return self.dim

    def describe_states(self, event_shape: state.EventShape) -> str:
        """Vectors of amounts."""
        return f"vectors of {' x '.join(map(str, event_shape))} amounts"


class _Means(ShiftAndScale):
    """`x = mean z`, by coordinate."""

    @torch.no_grad()
    def fit(self, x: Tensor, source: Tensor | None = None, *, common: bool = True) -> None:
        """The means of the columns, of data and source together."""
        sides = [a.double().mean(0) for a in ((x,) if source is None else (x, source))]
        mean = torch.stack(sides).mean(0).to(self.shift.device)
        self.keep(torch.zeros_like(mean), torch.where(mean > 0, mean, 1.0), double=False)

    def forward(self, z: Tensor) -> Tensor:
        """From states to amounts."""
        return self.put_on(z)

    def standardized(self, x: Tensor) -> Tensor:
        """From amounts to states."""
        return self.taken_off(x)

    def log_det_inverse(self) -> Tensor:
        """Minus the logarithms of the means, summed."""
        return -self.scale.log().sum()
