"""The unit sphere in R^(d+1), points as unit vectors along the last axis."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward import state
from pushforward._random import fork, normal, normal_like
from pushforward._shapes import flatten, per_event_sum
from pushforward.config import configurable
from pushforward.errors import CapabilityError, InputError
from pushforward.spaces import _sphere_heat
from pushforward.spaces.euclidean import check_numbers
from pushforward.spaces.space import Manifold
from pushforward.spaces.views import Scatter, View

__all__ = ["Sphere"]


@configurable
@dataclass(frozen=True)
class Sphere(Manifold):
    """Unit vectors. Geodesics in any dimension; Brownian motion in closed form on the 2-sphere.

    Args:
        dim: that of the sphere, one less than the length of its vectors; by default that of the
            first states seen, or 2.

    >>> north, east = torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([[1.0, 0.0, 0.0]])
    >>> Sphere().log(north, east)
    tensor([[1.5708, 0.0000, 0.0000]])
    """

    dim: int | None = None

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

    def retract(self, x: Tensor, v: Tensor) -> Tensor:
        """The exponential map: along the great circle in the direction of `v`, by its length."""
        angle = torch.linalg.vector_norm(v, dim=-1, keepdim=True)
        # sinc keeps the limit at v = 0; torch's is sin(pi a) / (pi a).
        y = torch.cos(angle) * x + torch.sinc(angle / torch.pi) * v
        # Rounding would otherwise drift off the sphere over many steps.
        return y / torch.linalg.vector_norm(y, dim=-1, keepdim=True)

    def randn(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Standard normal noise in the tangent plane at `x`."""
        return self.project(x, normal_like(x, generator))

    def squared_norm(self, v: Tensor) -> Tensor:
        """The squared length in the ambient space, summed over the event; `(B,)`."""
        return per_event_sum(v.square())

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """The initial velocity at `x` of the shorter great circle to `y`.

        At antipodes, where every direction is as short, the result is zero.
        """
        direction = self.project(x, y)
        length = torch.linalg.vector_norm(direction, dim=-1, keepdim=True)
        angle = torch.atan2(length, (x * y).sum(-1, keepdim=True))
        tiny = torch.finfo(x.dtype).tiny
        return direction * (angle / length.clamp_min(tiny))

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
        self._check(x)
        check_unit(x)
        rows = _per_point(variance, x)
        inner = fork(generator, copies=math.prod(rows.shape[1:]))
        angle = _sphere_heat.sample_angle(rows.flatten(), inner).reshape(rows.shape)
        direction = self.randn(x, generator)
        direction = direction / torch.linalg.vector_norm(direction, dim=-1, keepdim=True)
        return self.retract(x, angle.unsqueeze(-1) * direction)

    def heat_score(self, x: Tensor, start: Tensor, variance: Tensor) -> Tensor:
        """The gradient of the log heat kernel: along the great circle through `start`."""
        self._check(x)
        back = self.log(x, start)
        angle = torch.linalg.vector_norm(back, dim=-1)
        rows = _per_point(variance, x)
        slope = _sphere_heat.log_kernel_slope(angle.flatten(), rows.flatten())
        unit = back / angle.clamp_min(torch.finfo(x.dtype).tiny).unsqueeze(-1)
        return -slope.reshape(angle.shape).unsqueeze(-1) * unit

    def _check(self, x: Tensor) -> None:
        if x.shape[-1] != 3:
            raise CapabilityError(
                f"the heat kernel is in closed form for unit vectors of R^3, not R^{x.shape[-1]}: "
                "use the Geodesic process, which works on spheres of any dimension"
            )

    def features(self, x: Tensor) -> Tensor:
        """The coordinates of the unit vectors."""
        return flatten(x)

    def views(self, x: Tensor) -> tuple[View, ...]:
        """Longitude and latitude in degrees on the 2-sphere, else points of a plane."""
        if x.shape[-1] != 3:
            return (Scatter(flatten(x)),)
        a, b, c = x.reshape(-1, 3).unbind(-1)
        places = torch.rad2deg(torch.stack([torch.atan2(b, a), torch.asin(c.clamp(-1, 1))], 1))
        return (Scatter(places, ("longitude", "latitude"), ((-180.0, -90.0), (180.0, 90.0))),)

    @property
    def width(self) -> int | None:
        """The length of a vector."""
        return (2 if self.dim is None else self.dim) + 1

    def describe_states(self, event_shape: state.EventShape) -> str:
        """Points, or so many of them."""
        points = math.prod(event_shape[:-1])
        many = f"states of {points} " if points > 1 else ""
        return f"{many}points on the {event_shape[-1] - 1}-sphere"


def check_unit(x: Tensor) -> None:
    """Raise `InputError` for vectors that are not of length 1, naming the first length."""
    length = torch.linalg.vector_norm(x.detach(), dim=-1)
    wrong = (length - 1).abs() >= 1e-3
    if bool(wrong.any()):
        raise InputError(
            f"points on the sphere have length 1, not {float(length[wrong][0]):.4g}: divide them "
            "by their norm"
        )


def _per_point(variance: Tensor, x: Tensor) -> Tensor:
    """A variance `(B,)` repeated for every point of events `(B, ..., 3)`."""
    return variance.reshape(-1, *(1,) * (x.ndim - 2)).expand(x.shape[:-1])
