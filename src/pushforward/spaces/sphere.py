"""The unit sphere in R^(d+1), points as unit vectors along the last axis."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward import state
from pushforward._random import fork, normal, normal_like
from pushforward._shapes import flatten
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.spaces import _sphere_heat
from pushforward.spaces.coordinates import (
    AzimuthAltitude,
    CoordinateSystem,
    LatitudeLongitude,
    UnitVector,
)
from pushforward.spaces.euclidean import check_numbers
from pushforward.spaces.manifold import Manifold
from pushforward.spaces.surface_cells import SurfaceCells, globe_cells
from pushforward.spaces.views import Globe, Scatter, View

__all__ = ["Sphere"]


@configurable
@dataclass(frozen=True)
class Sphere(Manifold):
    r"""Unit vectors, with the metric of the space around them: lengths are angles.

    Densities are per unit of area, of which there are `2 pi^{(d+1)/2} / Gamma((d+1)/2)`: the
    uniform one of the 2-sphere is `1 / (4 pi)`. The heat kernel is a series, in up to 16
    dimensions; for variances `v` below .01 an expansion with a relative error of the order
    `(d v)^2 / 50` (`spaces/_sphere_heat.py`).

    Args:
        dim: that of the sphere, one less than the length of its vectors; by default that of the
            first states seen, or 2.

    >>> north, east = torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([[1.0, 0.0, 0.0]])
    >>> Sphere().log(north, east)
    tensor([[1.5708, 0.0000, 0.0000]])
    """

    dim: int | None = None

    measure = "per unit of area of the unit sphere"

    period = 2 * math.pi
    fine = True

    def check(self, x: Tensor) -> None:
        """Vectors of length 1 along the last axis, to 0.001."""
        check_numbers(x, "a point of the sphere")
        if self.dim is not None and x.shape[-1] != self.dim + 1:
            raise InputError(f"a point is a vector of {self.dim + 1}, not of {x.shape[-1]}")
        check_unit(x)

    def from_arrays(self, arrays: Any) -> Tensor:
        """Unit vectors; those that are, to rounding, stay as they are."""
        x = super().from_arrays(arrays)
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        near = (length - 1).abs() <= 4 * torch.finfo(x.dtype).eps
        return torch.where(near, x, x / length)

    def project(self, x: Tensor, v: Tensor) -> Tensor:
        """The part of `v` tangent to the sphere at `x`."""
        return v - (v * x).sum(-1, keepdim=True) * x

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """The exponential map: along the great circle in the direction of `v`, by its length."""
        angle = torch.linalg.vector_norm(v, dim=-1, keepdim=True)
        # sinc keeps the limit at v = 0; torch's is sin(pi a) / (pi a).
        y = torch.cos(angle) * x + torch.sinc(angle / torch.pi) * v
        # Rounding would otherwise drift off the sphere over many steps.
        return y / torch.linalg.vector_norm(y, dim=-1, keepdim=True)

    def randn(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Standard normal noise in the tangent plane at `x`."""
        return self.project(x, normal_like(x, generator))

    def nearest(self, x: Tensor) -> Tensor:
        """The vector divided by its length."""
        return x / torch.linalg.vector_norm(x, dim=-1, keepdim=True)

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """The initial velocity at `x` of the shorter great circle to `y`.

        At antipodes, where every direction is as short, one of them.
        """
        direction = self.project(x, y)
        height = (x * y).sum(-1, keepdim=True)
        length = torch.linalg.vector_norm(direction, dim=-1, keepdim=True)
        # Where y is x or its antipode, the direction is rounding: of the one there is none, of the
        # other any will do.
        tiny = torch.finfo(x.dtype).eps
        lost = length < tiny
        safe = torch.where(lost, torch.ones_like(length), length)
        ratio = torch.where(lost, torch.ones_like(length), torch.atan2(length, height) / safe)
        away = lost & (height < 0)
        return torch.where(away, math.pi * _sideways(x.detach()), ratio * direction)

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """The angle, the root of the sum of their squares for several points; `(B,)`."""
        # Exact for small and for large angles, unlike the arc cosine.
        apart, together = (torch.linalg.vector_norm(z, dim=-1) for z in (x - y, x + y))
        angle = 2 * torch.atan2(apart, together)
        return torch.linalg.vector_norm(flatten(angle), dim=-1)

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """Along the great circle: the part of `v` in its direction turns with it."""
        way = self.log(x, y)
        angle = torch.linalg.vector_norm(way, dim=-1, keepdim=True)
        unit = way / torch.where(angle > 0, angle, torch.ones_like(angle))
        along = (unit * v).sum(-1, keepdim=True)
        return v + along * ((angle.cos() - 1) * unit - angle.sin() * x)

    def point_dimension(self, point_shape: tuple[int, ...]) -> int:
        """One less than the length of a vector."""
        return point_shape[-1] - 1

    def point_frame(self, x: Tensor) -> Tensor:
        """The images of the other axes under the reflection that takes the first one to `x`."""
        # To the opposite of x, if that is farther away: the reflection is then well-conditioned.
        sign = torch.where(x[:, :1] >= 0, -torch.ones_like(x[:, :1]), torch.ones_like(x[:, :1]))
        size = x.shape[-1]
        axes = torch.eye(size, dtype=x.dtype, device=x.device)
        mirror = axes[0] - sign * x
        scale = 2 / mirror.square().sum(-1)
        return axes[1:] - scale[:, None, None] * mirror[:, 1:, None] * mirror[:, None, :]

    def exp_log_det(self, x: Tensor, v: Tensor) -> Tensor:
        """`(d - 1) log |sin r / r|` at the length `r`, `(N,)`."""
        length = torch.linalg.vector_norm(v, dim=-1)
        return (x.shape[-1] - 2) * torch.sinc(length / math.pi).abs().log()

    def origin(self, shape: tuple[int, ...]) -> Tensor:
        """The last axis: the north pole of the 2-sphere."""
        x = torch.zeros(shape)
        x[..., -1] = 1.0
        return x

    def uniform(self, n: int, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """`n` events of uniform unit vectors; the last axis of `shape` holds the coordinates."""
        x = normal((n, *shape), generator)
        return x / torch.linalg.vector_norm(x, dim=-1, keepdim=True)

    def log_volume(self, shape: tuple[int, ...]) -> float:
        """The logarithm of `2 pi^{n/2} / Gamma(n/2)` for unit vectors in R^n, per vector."""
        half = shape[-1] / 2
        one = math.log(2) + half * math.log(math.pi) - math.lgamma(half)
        return math.prod(shape[:-1]) * one

    def diffuse(
        self, x: Tensor, variance: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """Brownian motion from `x` after `variance` `(B,)`: a random direction, an exact angle."""
        check_unit(x)
        rows = self.per_point(variance, x)
        inner = fork(generator, copies=self.count(x))
        angle = _sphere_heat.sample_angle(rows, inner, x.shape[-1] - 1).reshape(x.shape[:-1])
        direction = self.randn(x, generator)
        direction = direction / torch.linalg.vector_norm(direction, dim=-1, keepdim=True)
        return self.exp(x, angle.unsqueeze(-1) * direction)

    def heat_log_kernel(self, x: Tensor, start: Tensor, variance: Tensor) -> Tensor:
        """The log-density of Brownian motion per unit of area, `(B,)`."""
        value, _, _ = self._kernel(x, start, variance)
        return self.per_event(value, x) - self.log_volume(tuple(x.shape[1:]))

    def heat_score(self, x: Tensor, start: Tensor, variance: Tensor) -> Tensor:
        """The gradient of the log heat kernel: along the great circle through `start`."""
        _, slope, back = self._kernel(x, start, variance)
        angle = torch.linalg.vector_norm(back, dim=-1, keepdim=True)
        unit = back / angle.clamp_min(torch.finfo(x.dtype).tiny)
        return -slope.reshape(angle.shape) * unit

    def _kernel(self, x: Tensor, start: Tensor, variance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The log kernel of each point and its slope, and the way back to the start."""
        back = self.log(x, start)
        angle = torch.linalg.vector_norm(back, dim=-1).flatten()
        rows = self.per_point(variance, x)
        return *_sphere_heat.log_kernel(angle, rows, x.shape[-1] - 1), back

    def features(self, x: Tensor) -> Tensor:
        """The coordinates of the unit vectors."""
        return flatten(x)

    def feature_names(self, size: int, columns: tuple[str, ...] = ()) -> tuple[str, ...]:
        """The axes, north last."""
        return ("x", "y", "z") if size == 3 else super().feature_names(size)

    def views(self, x: Tensor) -> tuple[View, ...]:
        """Maps of the 2-sphere, else points of a plane."""
        return (Globe(x.reshape(-1, 3)),) if x.shape[-1] == 3 else (Scatter(flatten(x)),)

    def cells(self, x: Tensor, rows: int) -> SurfaceCells | None:
        """Those of the 2-sphere, between parallels and meridians."""
        return globe_cells(rows) if tuple(x.shape[1:]) == (3,) else None

    @property
    def coordinates(self) -> tuple[CoordinateSystem, ...]:
        """Those of the 2-sphere."""
        known = LatitudeLongitude(), AzimuthAltitude(), UnitVector()
        return known if self.dim in (None, 2) else ()

    @property
    def width(self) -> int | None:
        """The length of a vector."""
        return (2 if self.dim is None else self.dim) + 1

    def describe_states(self, event_shape: state.EventShape) -> str:
        """Points, or so many of them."""
        points = math.prod(event_shape[:-1])
        many = f"states of {points} " if points > 1 else ""
        return f"{many}points on the {event_shape[-1] - 1}-sphere"


def _sideways(x: Tensor) -> Tensor:
    """A unit tangent vector at each point, the first one of `point_frame`."""
    first = x[..., :1]
    mirror = torch.where(first >= 0, x, -x)
    mirror = torch.cat([mirror[..., :1] + 1, mirror[..., 1:]], -1)
    found = (-2 / mirror.square().sum(-1, keepdim=True)) * mirror[..., 1:2] * mirror
    return torch.cat([found[..., :1], found[..., 1:2] + 1, found[..., 2:]], -1)


def check_unit(x: Tensor) -> None:
    """Raise `InputError` for vectors that are not of length 1, naming the first length."""
    length = torch.linalg.vector_norm(x.detach(), dim=-1)
    wrong = (length - 1).abs() >= 1e-3
    if bool(wrong.any()):
        raise InputError(
            f"points on the sphere have length 1, not {float(length[wrong][0]):.4g}: divide them "
            "by their norm"
        )
