"""Angles: the circle and products of circles, flat."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward import state
from pushforward._random import normal_like, uniform, uniform_like
from pushforward._shapes import flatten, like, per_event_sum
from pushforward._softmax import softmax
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.spaces.coordinates import Angles, CoordinateSystem
from pushforward.spaces.euclidean import check_numbers
from pushforward.spaces.manifold import Manifold
from pushforward.spaces.surface_cells import SurfaceCells, square_cells
from pushforward.spaces.views import Histogram, Scatter, View

__all__ = ["Torus", "widest_of", "windings", "wrap"]


def wrap(angle: Tensor) -> Tensor:
    """The same angle in [-pi, pi).

    >>> wrap(torch.tensor([4.0]))
    tensor([-2.2832])
    """
    return torch.remainder(angle + math.pi, 2 * math.pi) - math.pi


def widest_of(variance: Tensor) -> float:
    """The largest standard deviation of a batch, which may be empty."""
    return float(variance.max()) ** 0.5 if variance.numel() else 0.0


def windings(std: float) -> Tensor:
    """The multiples of a full turn that matter to a normal of standard deviation `std`."""
    reach = math.ceil(8 * std / (2 * math.pi)) + 1
    return 2 * math.pi * torch.arange(-reach, reach + 1, dtype=torch.float64)


@configurable
@dataclass(frozen=True)
class Torus(Manifold):
    """Events of angles in [-pi, pi), one circle per entry. The circle is the event `(1,)`.

    Args:
        dim: the number of angles, where a table has columns for other things too.

    >>> Torus().exp(torch.tensor([[3.0]]), torch.tensor([[1.0]]))
    tensor([[-2.2832]])
    """

    dim: int | None = None

    measure = "per radian of each angle"

    point_axes = 0
    period = 2 * math.pi

    def check(self, x: Tensor) -> None:
        """Angles `(B, *event)` in radians, within four turns."""
        check_numbers(x, "an angle")
        if self.dim is not None and tuple(x.shape[1:]) != (self.dim,):
            raise InputError(f"states are {self.dim} angles, not {tuple(x.shape[1:])}")
        worst = float(x.detach().abs().max()) if x.numel() else 0.0
        if worst > 8 * math.pi:
            raise InputError(
                f"angles are in radians, but one is {worst:.4g}: multiply degrees by pi / 180"
            )

    def from_arrays(self, arrays: Any) -> Tensor:
        """Angles in [-pi, pi); those that are stay as they are, to the last digit."""
        x = super().from_arrays(arrays)
        return torch.where((x >= -math.pi) & (x < math.pi), x, wrap(x))

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """Turn by `v`."""
        return wrap(x + v)

    def randn(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Independent standard normal turns, shaped like `x`."""
        return normal_like(x, generator)

    def nearest(self, x: Tensor) -> Tensor:
        """The same angles in [-pi, pi)."""
        return wrap(x)

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """The shortest turn from `x` to `y`, in [-pi, pi)."""
        return wrap(y - x)

    def point_dimension(self, point_shape: tuple[int, ...]) -> int:
        """One: a point is an angle."""
        return 1

    def point_frame(self, x: Tensor) -> Tensor:
        """A positive turn."""
        return torch.ones_like(x).unsqueeze(1)

    def exp_log_det(self, x: Tensor, v: Tensor) -> Tensor:
        """Zero: the torus is flat."""
        return torch.zeros_like(v)

    def images(self, x: Tensor, v: Tensor, reach: float) -> tuple[Tensor, Tensor]:
        """The turn, more by any number of full ones."""
        found = v + windings(reach / 8).to(v).unsqueeze(-1)
        return found, torch.ones_like(found, dtype=torch.bool)

    def origin(self, shape: tuple[int, ...]) -> Tensor:
        """The angle 0."""
        return torch.zeros(shape)

    def uniform(self, n: int, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """`n` events of independent uniform angles."""
        return 2 * math.pi * uniform((n, *shape), generator) - math.pi

    def log_volume(self, shape: tuple[int, ...]) -> float:
        """`log 2 pi` per angle."""
        return math.prod(shape) * math.log(2 * math.pi)

    def diffuse(
        self, x: Tensor, variance: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """The wrapped normal distribution around `x`."""
        return wrap(x + like(variance.sqrt(), x) * normal_like(x, generator))

    def pinned(
        self,
        start: Tensor,
        end: Tensor,
        before: Tensor,
        after: Tensor,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Exactly: how often each angle winds around is drawn first, then it is a bridge on a
        line."""
        whole = before + after
        turns = windings(widest_of(whole)).to(start)
        ways = wrap(end - start).unsqueeze(-1) + turns
        chances = softmax(-0.5 * ways.square() / like(whole, ways))
        u = uniform_like(start, generator).unsqueeze(-1)
        which = (chances.cumsum(-1) < u).sum(-1, keepdim=True).clamp_max(len(turns) - 1)
        way = ways.gather(-1, which).squeeze(-1)
        share, spread = like(before / whole, way), like((before * after / whole).sqrt(), way)
        return wrap(start + share * way + spread * normal_like(way, generator))

    def heat_log_kernel(self, x: Tensor, start: Tensor, variance: Tensor) -> Tensor:
        """The log-density of the wrapped normal distribution around `start`, `(B,)`."""
        gap = wrap(x - start).unsqueeze(-1) + windings(widest_of(variance)).to(x)
        v = torch.as_tensor(like(variance, gap))
        logs = -0.5 * (gap.square() / v + torch.log(2 * math.pi * v))
        return per_event_sum(torch.logsumexp(logs, -1))

    def heat_score(self, x: Tensor, start: Tensor, variance: Tensor) -> Tensor:
        r"""The score of the wrapped normal, `sum_k w_k (start + 2 pi k - x) / variance`.

        The weights `w_k` are the chances of having turned `k` times.
        """
        turns = windings(widest_of(variance)).to(x)
        gap = wrap(start - x).unsqueeze(-1) + turns
        v = like(variance, gap)
        weights = softmax(-gap.square() / (2 * v))
        return (weights * gap / v).sum(-1)

    def features(self, x: Tensor) -> Tensor:
        """The cosine and the sine of each angle."""
        return torch.cat([flatten(x).cos(), flatten(x).sin()], 1)

    def feature_names(self, size: int, columns: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Those of the angles."""
        names = columns if 2 * len(columns) == size else [f"angle{k}" for k in range(size // 2)]
        return tuple(f"{wave} {name}" for wave in ("cos", "sin") for name in names)

    def views(self, x: Tensor) -> tuple[View, ...]:
        """A histogram of one angle, points of a square for two (the plot of Ramachandran), in
        degrees; principal axes for more."""
        flat, edge = torch.rad2deg(wrap(flatten(x))), 180.0
        if flat.shape[1] == 1:
            return (Histogram(flat[:, 0], "angle, degrees", (-edge, edge)),)
        if flat.shape[1] == 2:
            square = (-edge, -edge), (edge, edge)
            return (Scatter(flat, window=square, unit="degrees", period=2 * edge),)
        return (Scatter(self.features(x)),)

    def cells(self, x: Tensor, rows: int) -> SurfaceCells | None:
        """Those of two angles."""
        if tuple(x.shape[1:]) != (2,):
            return None
        corner = torch.full((2,), math.pi, dtype=torch.float64)
        return square_cells(-corner, corner, rows, whole=True)

    @property
    def coordinates(self) -> tuple[CoordinateSystem, ...]:
        """Angles in either unit."""
        return Angles("radians", self.dim), Angles("degrees", self.dim)

    @property
    def width(self) -> int | None:
        """`dim`."""
        return self.dim

    def to_table(self, x: Tensor) -> tuple[Tensor, tuple[str, ...]]:
        """One column an angle."""
        flat = flatten(x)
        return flat, tuple(f"angle{k}" for k in range(flat.shape[1]))

    def describe_states(self, event_shape: state.EventShape) -> str:
        """Angles, or so many of them."""
        angles = math.prod(event_shape)
        return "angles" if angles == 1 else f"states of {angles} angles"
