"""Curved spaces: geodesics, frames, volumes, Brownian motion."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor

from pushforward._random import normal
from pushforward._shapes import like
from pushforward.errors import CapabilityError
from pushforward.spaces._smooth import root
from pushforward.spaces.space import ContinuousSpace

__all__ = ["PINNED", "WALK", "Manifold"]

WALK = 100
"""Steps of a random walk in the place of Brownian motion; its weak error is of order `1 / WALK`."""

PINNED = 30
"""Steps of a walk in the place of Brownian motion between two points."""


class Manifold(ContinuousSpace):
    r"""A curved space.

    An event holds one point or several, along its first axes; geodesics, frames and volumes are
    those of the product of as many spaces. Densities are per unit of the volume that the metric
    has, and Brownian motion has the generator `Delta / 2`: its heat kernel after variance `v` is a
    normal density of that variance for small `v`.
    """

    pictures = False

    point_axes: int = 1
    """How many of the last axes of an event make a point."""

    compact: bool = True
    """Closed and bounded: it has a uniform distribution, to which Brownian motion tends."""

    period: float | None = None
    """The length after which every geodesic is back where it started; `None` if none is."""

    fine: bool = False
    """Data here, such as places on the Earth, mostly have structure far finer than the space is
    wide: flows from its uniform distribution learn more of the times near the data."""

    no_heat: str = ""
    """Why there is no Brownian motion here, and the way out; empty where there is."""

    @abstractmethod
    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """The tangent vector at `x` whose geodesic reaches `y` at unit time, the shortest one."""

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """The length of the shortest geodesic, `(B,)`."""
        v = self.log(x, y)
        return root(self.inner(x, v, v))

    def squared_norm(self, x: Tensor, v: Tensor) -> Tensor:
        """The squared length, `(B,)`."""
        return self.inner(x, v, v)

    @abstractmethod
    def point_dimension(self, point_shape: tuple[int, ...]) -> int:
        """The dimension of the space of a point given by an array of this shape."""

    @abstractmethod
    def point_frame(self, x: Tensor) -> Tensor:
        """An orthonormal basis of the tangent space at points `(N, *point)`, `(N, p, *point)`."""

    def dimension(self, event_shape: tuple[int, ...]) -> int:
        """The dimension of the space of events of a shape."""
        several, point = self._split(event_shape)
        return math.prod(several) * self.point_dimension(point)

    def frame(self, x: Tensor) -> Tensor:
        """An orthonormal basis of the tangent space at each event, `(B, dimension, *event)`."""
        several, point = self._split(tuple(x.shape[1:]))
        basis = self.point_frame(self.points(x))
        if not several:
            return basis
        count, size = math.prod(several), basis.shape[1]
        # One vector moves one point of the event.
        blocks = basis.new_zeros(len(x), count, size, count, *point)
        each = torch.arange(count, device=x.device)
        moved = basis.reshape(len(x), count, size, *point)
        blocks[:, each, :, each] = moved.transpose(0, 1)
        return blocks.reshape(len(x), count * size, *x.shape[1:])

    def points(self, x: Tensor) -> Tensor:
        """The points of all events in a row, `(B, *several, *point)` to `(N, *point)`."""
        _, point = self._split(tuple(x.shape[1:]))
        return x.reshape(-1, *point)

    def _split(self, event_shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The axes along which points lie, and those of a point."""
        cut = len(event_shape) - self.point_axes
        return event_shape[:cut], event_shape[cut:]

    def per_event(self, values: Tensor, x: Tensor) -> Tensor:
        """The sum over the points of each event, `(N,)` to `(B,)`."""
        return values.reshape(len(x), self.count(x)).sum(-1)

    def per_point(self, values: Tensor, x: Tensor) -> Tensor:
        """Numbers `(B,)` repeated for the points of each event, `(N,)`."""
        return values.repeat_interleave(self.count(x))

    def count(self, x: Tensor) -> int:
        """How many points an event holds."""
        several, _ = self._split(tuple(x.shape[1:]))
        return math.prod(several)

    def randn(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Standard normal noise in the tangent space at `x`."""
        shape = (len(x), self.dimension(tuple(x.shape[1:])))
        return self.in_frame(x, normal(shape, generator, dtype=x.dtype, device=x.device))

    @abstractmethod
    def exp_log_det(self, x: Tensor, v: Tensor) -> Tensor:
        """`log |det d exp_x|` at `v`, between orthonormal frames, of points `(N, *point)`.

        How volume grows along geodesics: it turns a density of `v` into one of `exp(x, v)`.
        """

    def images(self, x: Tensor, v: Tensor, reach: float) -> tuple[Tensor, Tensor]:
        """The tangent vectors at points that end where `v` does and are no longer than `reach`.

        `(N, *point)` to `(K, N, *point)`, longer ones among them, and which of them there are,
        `(K, N)`. On a space without a `period` that is `v` alone, else also the geodesics that wind
        around, in both directions. Of zero there is one: those that return come from all sides.
        """
        if self.period is None:
            return v.unsqueeze(0), torch.ones(1, len(v), dtype=torch.bool, device=v.device)
        length = root(self.inner(x, v, v))
        turns = math.ceil(reach / self.period)
        k = torch.arange(-turns, turns + 1, dtype=v.dtype, device=v.device).unsqueeze(-1)
        moves = length > 0
        factor = 1 + k * self.period / torch.where(moves, length, 1.0)
        vectors = factor.reshape(*factor.shape, *(1,) * (v.ndim - 1)) * v
        return vectors, moves | (k == 0)

    def uniform(self, n: int, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """`n` points of the uniform distribution with event shape `shape`."""
        raise CapabilityError(f"{self} is not bounded and has no uniform distribution")

    def log_volume(self, shape: tuple[int, ...]) -> float:
        """The logarithm of the volume of the events of shape `shape`."""
        raise CapabilityError(f"{self} is not bounded: its volume is infinite")

    @abstractmethod
    def origin(self, shape: tuple[int, ...]) -> Tensor:
        """A point `shape` to center a distribution at, where no other is named."""

    def diffuse(
        self, x: Tensor, variance: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """Brownian motion from `x` after `variance` `(B,)` of time.

        Exact where the space says so; by default a geodesic random walk of `WALK` equal steps.
        """
        step = (variance / WALK).sqrt()
        for _ in range(WALK):
            x = self.exp(x, like(step, x) * self.randn(x, generator))
        return x

    def pinned(
        self,
        start: Tensor,
        end: Tensor,
        before: Tensor,
        after: Tensor,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Brownian motion from `start` after variance `before` `(B,)`, given that it is at `end`
        after `after` `(B,)` more.

        Exact where the space says so. By default a walk from the nearer end along geodesics whose
        drift, times its time, is the score of the heat kernel to the other one (Doob's transform):
        `PINNED` steps, of weak order 1. The variance that remains is at least half of all, so that
        the drift is never large.
        """
        near = torch.as_tensor(like(before <= after, start))
        x, far = torch.where(near, start, end), torch.where(near, end, start)
        step, remaining = torch.minimum(before, after) / PINNED, before + after
        root_of_step = like(step.sqrt(), x)
        for _ in range(PINNED):
            pull = like(step, x) * self.heat_score(x, far, remaining)
            x = self.exp(x, pull + root_of_step * self.randn(x, generator))
            remaining = remaining - step
        return x

    def heat_log_kernel(self, x: Tensor, start: Tensor, variance: Tensor) -> Tensor:
        r"""The log-density of Brownian motion from `start` after `variance` `(B,)`, `(B,)`.

        Exact where the space says so; by default Varadhan's approximation with the volume of the
        exponential map, `N(log(start, x); 0, variance) det^{-1/2}`, whose relative error is of the
        order of the variance times the curvature.
        """
        v = self.log(start, x)
        size = self.dimension(tuple(x.shape[1:]))
        normal_log = -0.5 * (
            self.inner(start, v, v) / variance + size * torch.log(2 * math.pi * variance)
        )
        grown = self.exp_log_det(self.points(start), self.points(v))
        return normal_log - 0.5 * self.per_event(grown, x)

    def heat_score(self, x: Tensor, start: Tensor, variance: Tensor) -> Tensor:
        r"""The gradient in `x` of the log heat kernel from `start` after `variance` `(B,)`.

        Exact where the space says so; by default Varadhan's `log(x, start) / variance`, the limit
        for small variances.
        """
        return self.log(x, start) / like(variance, x)
