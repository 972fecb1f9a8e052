"""R^d, and any array shape seen as R^d."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward import state
from pushforward._random import normal_like
from pushforward._shapes import flatten, per_event_mean, per_event_sum
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.spaces.coordinates import CoordinateSystem, Numbers
from pushforward.spaces.space import LinearSpace
from pushforward.spaces.surface_cells import SurfaceCells, square_cells
from pushforward.spaces.units import Standardize, Units
from pushforward.spaces.views import Curves, Histogram, Images, Scatter, View

__all__ = ["Euclidean", "check_numbers", "view_vectors"]


@configurable
@dataclass(frozen=True)
class Euclidean(LinearSpace):
    """Vectors, images or signals, with white noise.

    Args:
        dim: the length of a vector, where a table has columns for other things too.

    >>> Euclidean().exp(torch.zeros(1, 2), torch.ones(1, 2))
    tensor([[1., 1.]])
    """

    dim: int | None = None

    white = True

    def check(self, x: Tensor) -> None:
        """Finite floating-point numbers `(B, *event)`."""
        check_numbers(x, "data")
        if self.dim is not None and tuple(x.shape[1:]) != (self.dim,):
            raise InputError(f"states are vectors of {self.dim}, not {tuple(x.shape[1:])}")

    def units(self, event_shape: state.EventShape) -> Units:
        """A shift and a scale per coordinate; pictures keep their contrast."""
        return Standardize(event_shape)

    def randn(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Independent standard normal entries, shaped like `x`."""
        return normal_like(x, generator)

    def squared_norm(self, x: Tensor, v: Tensor) -> Tensor:
        """The mean square over the event, so that losses compare across dimensions; `(B,)`."""
        return per_event_mean(v.square())

    def noise_log_prob(self, x: Tensor) -> Tensor:
        """The standard normal log-density, `(B,)`."""
        return -0.5 * per_event_sum(x.square() + math.log(2 * math.pi))

    def features(self, x: Tensor) -> Tensor:
        """The entries."""
        return flatten(x)

    def common_scale(self, event_shape: state.EventShape) -> bool:
        """Pixels share a unit; the entries of a vector may have one each."""
        return len(event_shape) == 3

    def embed(self, x: Tensor) -> Tensor:
        """The state itself."""
        return x

    def views(self, x: Tensor) -> tuple[View, ...]:
        """Pictures, or points of a plane."""
        return view_vectors(x)

    def cells(self, x: Tensor, rows: int) -> SurfaceCells | None:
        """Of a window of the plane around the states `x`, but for the farthest ones."""
        if tuple(x.shape[1:]) != (2,):
            return None
        ends = torch.tensor([0.002, 0.998], dtype=torch.float64)
        some = x.detach().cpu().double()[:: max(1, len(x) // 100_000)]
        low, high = torch.quantile(some, ends, dim=0)
        margin = 0.15 * (high - low).clamp_min(1e-6)
        return square_cells(low - margin, high + margin, rows, whole=False)

    @property
    def coordinates(self) -> tuple[CoordinateSystem, ...]:
        """The numbers themselves."""
        return (Numbers(self.dim),)

    @property
    def width(self) -> int | None:
        """`dim`."""
        return self.dim

    def describe_states(self, event_shape: state.EventShape) -> str:
        """Vectors, images or arrays."""
        size = " x ".join(map(str, event_shape))
        return f"{'images' if len(event_shape) == 3 else 'vectors'} of {size}"


def check_numbers(x: Tensor, what: str) -> None:
    """Raise `InputError` for what is no batch `(B, *event)` of finite floating-point numbers."""
    if not (isinstance(x, Tensor) and x.is_floating_point()):
        kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise InputError(f"{what} is a floating-point tensor, not {kind}: use x.float()")
    if x.ndim < 2:
        raise InputError(f"{what} has shape (B, *event), not {tuple(x.shape)}")


def view_vectors(x: Tensor, names: tuple[str, ...] = ()) -> tuple[View, ...]:
    """Numbers `(n, *event)` as pictures, as points of a plane, or counted."""
    if x.ndim == 4 and x.shape[1] in (1, 3):
        return (Images(x),)
    if x.ndim == 3 and x.shape[1] == 1:
        return (Curves(x[:, 0]),)
    flat = flatten(x)
    if flat.shape[1] == 1:
        return (Histogram(flat[:, 0], names[0] if names else ""),)
    return (Scatter(flat, names),)
