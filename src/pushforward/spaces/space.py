"""What a space can do: say what its states are, in which units, and how they are seen and judged.

Continuous spaces are moved in along tangent vectors; jump spaces are replaced site by site.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, TypeVar, cast

import torch
from torch import Tensor

from pushforward import state
from pushforward._random import normal
from pushforward._shapes import like, per_event_sum
from pushforward.errors import CapabilityError, InputError
from pushforward.spaces._smooth import root
from pushforward.spaces.coordinates import HasCoordinates
from pushforward.spaces.units import NoUnits, Units
from pushforward.spaces.views import View

__all__ = [
    "WALK",
    "ContinuousSpace",
    "JumpSpace",
    "LinearSpace",
    "Manifold",
    "Space",
    "coordinate_axes",
]


X = TypeVar("X")


class Space(HasCoordinates, ABC, Generic[X]):
    """A kind of state. A batch of states is a tree of tensors (`pushforward.state`), rows first.

    The methods with a body say what holds for most spaces of plain tensors.
    """

    linear: bool = False
    """Tangent vectors at different points may be added, so that a step can average two of them."""

    white: bool = False
    """The entries of unit noise are independent, with unit variance."""

    measure: str = ""
    """What densities are per, in words, where it is no unit of the data."""

    pictures: bool = True
    """States of three axes may be pictures, whose channels are first or last in a file."""

    arrays: tuple[str, ...] = ("x",)
    """The names of the arrays that make states together in a file."""

    @abstractmethod
    def check(self, x: X) -> None:
        """Raise `InputError` for what is no batch of states, naming the first one that is wrong."""

    @abstractmethod
    def features(self, x: X) -> Tensor:
        """Numbers `(N, k)` in which distances mean something: what judges see of states."""

    @abstractmethod
    def views(self, x: X) -> tuple[View, ...]:
        """What there is to see of states."""

    def units(self, event_shape: state.EventShape) -> Units:
        """The map between data units and states of a shape, not yet fitted: see `Units`."""
        return NoUnits()

    def embed(self, x: X) -> Tensor:
        """All that there is to a state as numbers `(B, *shape)`, for a network: the features,
        unless they lose something."""
        return self.features(x)

    def categories(self, x: X) -> Mapping[str, Tensor]:
        """What of a state is one of a few kinds, by name: often nothing.

        Integers `(N,)`, or several for each state one after the other, of which judges compare the
        frequencies.
        """
        return {}

    def common_scale(self, event_shape: state.EventShape) -> bool:
        """Whether the features of states of a shape share a unit, so that one scale serves all."""
        return True

    def from_arrays(self, arrays: Any) -> X:
        """States from what a file holds: a tensor `(N, ...)`, or tensors by name.

        Raises `InputError` for arrays that are no states.
        """
        if not isinstance(arrays, Tensor):
            what = type(arrays).__name__
            if isinstance(arrays, Mapping):
                what = f"the arrays {', '.join(arrays)}"
            raise InputError(f"{self} takes one array of states, not {what}")
        found = cast(X, arrays)
        self.check(found)
        return found

    def to_table(self, x: X) -> tuple[Tensor, tuple[str, ...]]:
        """States as the columns of a table, `(N, k)`, and the names of these, where no file has
        named them."""
        flat = cast(Tensor, x)
        flat = flat.reshape(len(flat), -1)
        return flat, tuple(f"x{k}" for k in range(flat.shape[1]))

    @property
    def width(self) -> int | None:
        """How many columns of a table make a state; `None` if it may be any number."""
        return None

    def describe_states(self, event_shape: state.EventShape) -> str:
        """In words, of many, as in "vectors of 2"."""
        return f"states of {' x '.join(map(str, event_shape))}"


class ContinuousSpace(Space[Tensor]):
    r"""A space that is moved in along tangent vectors.

    Points and tangent vectors are arrays of one shape: coordinates in a vector space around the
    space. A step along `v` from `x` is `exp(x, v)`; lengths are those of the metric, `inner`.
    """

    @abstractmethod
    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """The end of the geodesic that leaves `x` with velocity `v`, at unit time."""

    @abstractmethod
    def randn(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Unit noise in the tangent space at `x`, shaped like `x`."""

    @abstractmethod
    def squared_norm(self, x: Tensor, v: Tensor) -> Tensor:
        """The squared length of tangent vectors at `x` used as a loss, `(B, *event)` to `(B,)`."""

    def project(self, x: Tensor, v: Tensor) -> Tensor:
        """The tangent vector at `x` nearest to `v`; `v` itself where all vectors are tangent."""
        return v

    def tangent(self, x: Tensor, numbers: Tensor) -> Tensor:
        """The tangent vector that any array shaped like `x` stands for, the output of a network.

        Arrays of unit size make vectors of unit length, wherever `x` is. By default `project`.
        """
        return self.project(x, numbers)

    def nearest(self, x: Tensor) -> Tensor:
        """The point of the space nearest to coordinates that have left it, by rounding or by the
        straight stages of a solver."""
        return x

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """The tangent vector `v` at `x` carried in parallel along the geodesic to `y`."""
        return v

    def covector(self, x: Tensor, v: Tensor) -> Tensor:
        """The covector of `v`: its product with `u`, entry by entry, sums to the inner product.

        By default that of the coordinates: right where these embed the space isometrically.
        """
        return v

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """The Riemannian inner product of tangent vectors at `x`, `(B,)`."""
        return per_event_sum(self.covector(x, u) * v)

    @abstractmethod
    def frame(self, x: Tensor) -> Tensor:
        """An orthonormal basis of the tangent space at each point, `(B, dim, *event)`."""

    @abstractmethod
    def dimension(self, event_shape: tuple[int, ...]) -> int:
        """The dimension of the space of events of a shape."""

    def volume_slope(self, x: Tensor, v: Tensor) -> Tensor:
        """What a divergence has beside the trace of the derivative, `(B,)`.

        `div v = sum_i <e_i, D v[e_i]> + volume_slope`. Zero where the coordinates embed the space
        isometrically: there the covariant derivative is the projection of the plain one.
        """
        return v.new_zeros(len(v))

    def in_frame(self, x: Tensor, numbers: Tensor) -> Tensor:
        """The tangent vectors whose coordinates in `frame(x)` are `numbers`, `(B, dim)`."""
        basis = self.frame(x)
        weights = numbers.reshape(*numbers.shape, *(1,) * (x.ndim - 1))
        return (weights * basis).sum(1)


class LinearSpace(ContinuousSpace):
    """A vector space with normal noise that has a density."""

    linear = True

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """`x + v`."""
        return x + v

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """`y - x`."""
        return y - x

    def dimension(self, event_shape: tuple[int, ...]) -> int:
        """The number of entries."""
        return math.prod(event_shape)

    def frame(self, x: Tensor) -> Tensor:
        """The coordinate axes."""
        return coordinate_axes(x)

    @abstractmethod
    def noise_log_prob(self, x: Tensor) -> Tensor:
        """The log-density of unit noise at `x`, `(B,)`."""


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


WALK = 100
"""Steps of a random walk in the place of Brownian motion; its weak error is of order `1 / WALK`."""


def coordinate_axes(x: Tensor) -> Tensor:
    """The axes of the coordinates of events, `(B, d, *event)`, the same at every point.

    >>> coordinate_axes(torch.zeros(1, 2))
    tensor([[[1., 0.],
             [0., 1.]]])
    """
    size = math.prod(x.shape[1:])
    axes = torch.eye(size, dtype=x.dtype, device=x.device).reshape(1, size, *x.shape[1:])
    return axes.expand(len(x), *axes.shape[1:])


class JumpSpace(Space[X]):
    """A space of sites whose contents are replaced at random times."""

    @abstractmethod
    def where(self, fired: Tensor, new: X, old: X) -> X:
        """`new` at the sites that fired, `old` elsewhere; `fired` is `(B, sites)`."""
