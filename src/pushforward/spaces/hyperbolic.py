"""Hyperbolic space in the Lorentz model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward import state
from pushforward._random import fork
from pushforward._shapes import flatten, per_event_sum
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.spaces import _hyperbolic_heat
from pushforward.spaces._smooth import root, sinhc
from pushforward.spaces.coordinates import CoordinateSystem, HalfSpace, PoincareBall
from pushforward.spaces.euclidean import check_numbers
from pushforward.spaces.manifold import Manifold
from pushforward.spaces.views import Scatter, View

__all__ = ["Hyperbolic"]

_OFF = 1e-3


@configurable
@dataclass(frozen=True)
class Hyperbolic(Manifold):
    r"""Vectors `(x_0, ..., x_d)` with `<x, x> = -x_0^2 + x_1^2 + ... = -1` and `x_0 > 0`.

    The metric is that of the Minkowski product `<., .>`, of curvature -1; densities are per unit of
    its volume, `dx_1 ... dx_d / x_0`. In two and three dimensions the heat kernel is exact; in
    others it is Varadhan's approximation, right for variances far below one, and Brownian motion a
    random walk. The space is not bounded: Brownian motion tends to no distribution.

    Args:
        dim: one less than the length of a vector; by default that of the first states seen, or 2.

    >>> space, origin = Hyperbolic(), torch.tensor([[1.0, 0.0, 0.0]])
    >>> x = space.exp(origin, torch.tensor([[0.0, 2.0, 0.0]]))
    >>> space.distance(origin, x)
    tensor([2.])
    """

    dim: int | None = None

    compact = False

    def check(self, x: Tensor) -> None:
        """Minkowski squares of -1, to 0.001 of the Euclidean ones, and positive `x_0`."""
        check_numbers(x, "a point of hyperbolic space")
        if self.dim is not None and x.shape[-1] != self.dim + 1:
            raise InputError(f"a point is a vector of {self.dim + 1}, not of {x.shape[-1]}")
        points = x.detach().reshape(-1, x.shape[-1])
        square = minkowski(points, points)
        wrong = ((square + 1).abs() > _OFF * points.square().sum(-1)) | (points[:, 0] <= 0)
        if bool(wrong.any()):
            row = int(wrong.nonzero()[0])
            raise InputError(
                f"point {row} has x_0 = {float(points[row, 0]):.4g} and -x_0^2 + ... = "
                f"{float(square[row]):.4g}, not -1: take x_0 = sqrt(1 + x_1^2 + ...), as "
                "Hyperbolic().nearest does"
            )

    def from_arrays(self, arrays: Any) -> Tensor:
        """Points of the space, the first coordinate computed from the others."""
        x = super().from_arrays(arrays)
        exact = self.nearest(x)
        return torch.where(
            (exact - x).abs() <= 4 * torch.finfo(x.dtype).eps * exact.abs(), x, exact
        )

    def nearest(self, x: Tensor) -> Tensor:
        """The point above the same `x_1, ..., x_d`."""
        place = x[..., 1:]
        return torch.cat([(1 + place.square().sum(-1, keepdim=True)).sqrt(), place], -1)

    def project(self, x: Tensor, v: Tensor) -> Tensor:
        """`v + <x, v> x`."""
        return v + minkowski(x, v).unsqueeze(-1) * x

    def tangent(self, x: Tensor, numbers: Tensor) -> Tensor:
        """The numbers after the first one as coordinates in the frame at `x`."""
        frame = self.point_frame(self.points(x))
        inner = numbers[..., 1:].reshape(len(frame), -1, 1)
        return (inner * frame).sum(1).reshape(x.shape)

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """`cosh(r) x + sinh(r) v / r`, with the length `r`."""
        length = self._length(v)
        return self.nearest(torch.cosh(length) * x + sinhc(length) * v)

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """`r / sinh(r)` times the part of `y` tangent at `x`."""
        return self.project(x, y - x) / sinhc(self._apart(x, y))

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """The arc length, the root of the sum of their squares for several points; `(B,)`."""
        return torch.linalg.vector_norm(flatten(self._apart(x, y)), dim=-1)

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """`v + <y, v> (x + y) / (1 - <x, y>)`."""
        share = minkowski(y, v) / (1 - minkowski(x, y))
        return v + share.unsqueeze(-1) * (x + y)

    def covector(self, x: Tensor, v: Tensor) -> Tensor:
        """`v` with the sign of the first coordinate changed."""
        return torch.cat([-v[..., :1], v[..., 1:]], -1)

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """The Minkowski product, positive for tangent vectors, `(B,)`."""
        return per_event_sum(minkowski(u, v).reshape(len(u), -1))

    def point_dimension(self, point_shape: tuple[int, ...]) -> int:
        """One less than the length of a vector."""
        return point_shape[-1] - 1

    def point_frame(self, x: Tensor) -> Tensor:
        """The axes at the origin, carried to `x`."""
        size = x.shape[-1]
        axes = torch.eye(size, dtype=x.dtype, device=x.device)
        both = x + axes[0]
        share = x[:, 1:] / (1 + x[:, :1])
        return axes[1:] + share.unsqueeze(-1) * both.unsqueeze(1)

    def exp_log_det(self, x: Tensor, v: Tensor) -> Tensor:
        """`(d - 1) log(sinh(r) / r)` at the length `r`, `(N,)`."""
        return (x.shape[-1] - 2) * sinhc(self._length(v)).squeeze(-1).log()

    def origin(self, shape: tuple[int, ...]) -> Tensor:
        """`(1, 0, ..., 0)`."""
        x = torch.zeros(shape)
        x[..., 0] = 1.0
        return x

    def diffuse(
        self, x: Tensor, variance: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """Brownian motion from `x` after `variance` `(B,)`: exact in 2 and 3 dimensions."""
        dim = x.shape[-1] - 1
        if dim not in _hyperbolic_heat.KNOWN:
            return super().diffuse(x, variance, generator)
        left = self.per_point(variance, x)
        # How many steps a row takes must not move the noise of what is drawn later.
        walk = fork(generator)
        # A step is exact at any length that the rejection can afford, and steps add up.
        while bool((left > 0).any()):
            step = left.clamp_max(_hyperbolic_heat.LONGEST)
            inner = fork(walk, copies=self.count(x))
            radius = _hyperbolic_heat.sample_radius(step, inner, dim).reshape(x.shape[:-1])
            direction = self.randn(x, walk)
            unit = direction / self._length(direction)
            moved = self.exp(x, radius.unsqueeze(-1) * unit)
            x = torch.where((left > 0).reshape(*x.shape[:-1], 1), moved, x)
            left = left - step
        return x

    def heat_log_kernel(self, x: Tensor, start: Tensor, variance: Tensor) -> Tensor:
        """The log-density of Brownian motion: exact in 2 and 3 dimensions, `(B,)`."""
        if x.shape[-1] - 1 not in _hyperbolic_heat.KNOWN:
            return super().heat_log_kernel(x, start, variance)
        value, _ = self._kernel(x, start, variance)
        return self.per_event(value, x)

    def heat_score(self, x: Tensor, start: Tensor, variance: Tensor) -> Tensor:
        """The gradient of the log heat kernel: along the geodesic back to `start`."""
        if x.shape[-1] - 1 not in _hyperbolic_heat.KNOWN:
            return super().heat_score(x, start, variance)
        _, slope = self._kernel(x, start, variance)
        back = self.log(x, start)
        unit = back / self._length(back).clamp_min(torch.finfo(x.dtype).tiny)
        return -slope.reshape(*x.shape[:-1], 1) * unit

    def _kernel(self, x: Tensor, start: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        radius = self._apart(x, start).flatten()
        return _hyperbolic_heat.log_kernel(radius, self.per_point(variance, x), x.shape[-1] - 1)

    def _length(self, v: Tensor) -> Tensor:
        """The lengths of tangent vectors, `(..., 1)`; differentiable at zero too."""
        square = minkowski(v, v).unsqueeze(-1)
        return root(square)

    def _apart(self, x: Tensor, y: Tensor) -> Tensor:
        """Geodesic distances `(..., 1)`, accurate for near points: the chord is `2 sinh(r / 2)`."""
        gap = y - x
        return 2 * torch.asinh(0.5 * root(minkowski(gap, gap).unsqueeze(-1)))

    def features(self, x: Tensor) -> Tensor:
        """The coordinates `x_1, ..., x_d`, pulled in by an inverse hyperbolic sine."""
        return flatten(torch.asinh(x[..., 1:]))

    def embed(self, x: Tensor) -> Tensor:
        """The tangent vector at the origin whose geodesic ends there."""
        origin = self.origin(tuple(x.shape[1:])).to(x).expand(x.shape)
        return self.log(origin, x)[..., 1:]

    def views(self, x: Tensor) -> tuple[View, ...]:
        """The disk of Poincare, in which angles are right."""
        disk = x[..., 1:] / (1 + x[..., :1])
        flat = disk.reshape(-1, disk.shape[-1])
        if flat.shape[1] != 2:
            return (Scatter(flat),)
        return (Scatter(flat, ("disk 1", "disk 2"), ((-1.0, -1.0), (1.0, 1.0))),)

    @property
    def coordinates(self) -> tuple[CoordinateSystem, ...]:
        """The ball of Poincaré and the upper half-space."""
        return PoincareBall(self.dim), HalfSpace(self.dim)

    @property
    def width(self) -> int | None:
        """The length of a vector."""
        return (2 if self.dim is None else self.dim) + 1

    def describe_states(self, event_shape: state.EventShape) -> str:
        """Points, or so many of them."""
        points = math.prod(event_shape[:-1])
        many = f"states of {points} " if points > 1 else ""
        return f"{many}points of hyperbolic {event_shape[-1] - 1}-space"


def minkowski(u: Tensor, v: Tensor) -> Tensor:
    """The product `-u_0 v_0 + u_1 v_1 + ...` along the last axis.

    >>> minkowski(torch.tensor([2.0, 1.0]), torch.tensor([1.0, 3.0]))
    tensor(1.)
    """
    return (u[..., 1:] * v[..., 1:]).sum(-1) - u[..., 0] * v[..., 0]
