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
from pushforward._shapes import per_event_sum
from pushforward.errors import InputError
from pushforward.spaces.coordinates import HasCoordinates
from pushforward.spaces.surface_cells import SurfaceCells
from pushforward.spaces.units import NoUnits, Units
from pushforward.spaces.views import View

__all__ = [
    "ContinuousSpace",
    "JumpSpace",
    "LinearSpace",
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

    singular: str = ""
    """Where densities are infinite, in words, and what can be done about it."""

    pictures: bool = True
    """States of three axes may be pictures, whose channels are first or last in a file."""

    periodic: tuple[bool, ...] | None = None
    """Of fields, which of their axes have ends that meet; `None` where states are no fields."""

    gaps: bool = False
    """States may lack some of their numbers, and then have no density."""

    means_apart: bool = False
    """Spatial means of fields have a scale of their own, and networks a way past for them."""

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

    def state_shape(self, event_shape: state.EventShape) -> state.EventShape:
        """The shape of a state for data of a shape: another one where units change it."""
        return event_shape

    def feature_names(self, size: int, columns: tuple[str, ...] = ()) -> tuple[str, ...]:
        """What the features are called, `size` of them, in data of some columns."""
        return tuple(f"feature {k}" for k in range(size))

    def embed(self, x: X) -> Tensor:
        """All that there is to a state as numbers `(B, *shape)`, for a network: the features,
        unless they lose something."""
        return self.features(x)

    def completed(self, x: X) -> X:
        """States with something plain in the place of numbers that they lack, for judges."""
        return x

    def networks(self, event_shape: state.EventShape) -> dict[str, dict[str, Any]]:
        """The networks that suit states of a shape, by their short names, the best first, with what
        they have to know of the space; nothing where any will do."""
        return {}

    def categories(self, x: X) -> Mapping[str, Tensor]:
        """What of a state is one of a few kinds, by name: often nothing.

        Integers `(N,)`, or several for each state one after the other, of which judges compare the
        frequencies.
        """
        return {}

    def common_scale(self, event_shape: state.EventShape) -> bool:
        """Whether the features of states of a shape share a unit, so that one scale serves all."""
        return True

    def cells(self, x: X, rows: int) -> SurfaceCells | None:
        """So many rows of cells of the surface that states like `x` fill, for sums over it and
        maps; `None` where they fill no surface."""
        return None

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

    def noise_root(self, event_shape: state.EventShape) -> Any | None:
        """A root of the covariance of unit noise, `function_noise.NoiseRoot`, where noise is not
        white and has one in states of a shape."""
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

    subspace: bool = False
    """States are some of the arrays of their shape, those of a subspace of fewer dimensions."""

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
