"""What a space can do: say what its states are, in which units, and how they are seen and judged.

Continuous spaces are moved in along tangent vectors; jump spaces are replaced site by site.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, TypeVar, cast

import torch
from torch import Tensor

from pushforward import state
from pushforward.errors import InputError
from pushforward.spaces.units import NoUnits, Units
from pushforward.spaces.views import View

__all__ = ["ContinuousSpace", "JumpSpace", "LinearSpace", "Manifold", "Space"]


X = TypeVar("X")


class Space(ABC, Generic[X]):
    """A kind of state. A batch of states is a tree of tensors (`pushforward.state`), rows first.

    The methods with a body say what holds for most spaces of plain tensors.
    """

    linear: bool = False
    """Tangent vectors at different points may be added, so that a step can average two of them."""

    white: bool = False
    """The entries of unit noise are independent, with unit variance."""

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
    """A space that is moved in along tangent vectors."""

    @abstractmethod
    def retract(self, x: Tensor, v: Tensor) -> Tensor:
        """`x + v`, bent to the space: the exponential map, or agreeing with it to second order."""

    @abstractmethod
    def randn(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Unit noise in the tangent space at `x`, shaped like `x`."""

    @abstractmethod
    def squared_norm(self, v: Tensor) -> Tensor:
        """The squared length of tangent vectors used as a loss, `(B, *event)` to `(B,)`."""

    def project(self, x: Tensor, v: Tensor) -> Tensor:
        """The tangent vector at `x` nearest to `v`; `v` itself where all vectors are tangent."""
        return v


class LinearSpace(ContinuousSpace):
    """A vector space with normal noise that has a density."""

    linear = True

    def retract(self, x: Tensor, v: Tensor) -> Tensor:
        """`x + v`."""
        return x + v

    @abstractmethod
    def noise_log_prob(self, x: Tensor) -> Tensor:
        """The log-density of unit noise at `x`, `(B,)`."""


class Manifold(ContinuousSpace):
    """A space with geodesics and Brownian motion in closed form."""

    @abstractmethod
    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """The tangent vector at `x` whose geodesic reaches `y` at unit time."""

    @abstractmethod
    def uniform(self, n: int, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """`n` points of the uniform distribution with event shape `shape`."""

    @abstractmethod
    def log_volume(self, shape: tuple[int, ...]) -> float:
        """The logarithm of the volume of the events of shape `shape`."""

    @abstractmethod
    def diffuse(
        self, x: Tensor, variance: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """Brownian motion from `x`, exactly, after `variance` `(B,)` of time."""

    @abstractmethod
    def heat_score(self, x: Tensor, start: Tensor, variance: Tensor) -> Tensor:
        """The gradient in `x` of the log heat kernel from `start` after `variance` `(B,)`."""


class JumpSpace(Space[X]):
    """A space of sites whose contents are replaced at random times."""

    @abstractmethod
    def where(self, fired: Tensor, new: X, old: X) -> X:
        """`new` at the sites that fired, `old` elsewhere; `fired` is `(B, sites)`."""
