"""Symbols as the corners of a simplex."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from pushforward import state
from pushforward.config import configurable
from pushforward.errors import CapabilityError
from pushforward.spaces.simplex import Simplex
from pushforward.spaces.space import ContinuousSpace
from pushforward.spaces.tokens import Tokens
from pushforward.spaces.units import Units
from pushforward.spaces.views import View

__all__ = ["Vertices"]

_SIMPLEX = Simplex()


@configurable
@dataclass(frozen=True)
class Vertices(ContinuousSpace):
    """Integer data `(B, *sites)` below `vocabulary`, whose states are shares `(B, *sites, K)`.

    A symbol is a corner of the simplex, and a state becomes the symbol of its largest share.

    Args:
        vocabulary: the number of symbols.
        sites: how many symbols a data point has, where a table has columns for other things too.

    >>> Vertices(3).units((2,)).standardized(torch.tensor([[0, 2]]))
    tensor([[[1., 0., 0.],
             [0., 0., 1.]]])
    """

    vocabulary: int
    sites: int | None = None

    def __post_init__(self) -> None:
        Tokens(self.vocabulary, self.sites)

    pictures = False

    @property
    def _tokens(self) -> Tokens:
        return Tokens(self.vocabulary, self.sites)

    # -- data -----------------------------------------------------------------------------------

    def check(self, x: Tensor) -> None:
        """Integers from 0 to `vocabulary - 1`."""
        self._tokens.check(x)

    def from_arrays(self, arrays: Any) -> Tensor:
        """Integers, from whole numbers of any type."""
        return self._tokens.from_arrays(arrays)

    def features(self, x: Tensor) -> Tensor:
        """One-hot codes of the symbols."""
        return self._tokens.features(x)

    def views(self, x: Tensor) -> tuple[View, ...]:
        """A cell for each symbol."""
        return self._tokens.views(x)

    def categories(self, x: Tensor) -> dict[str, Tensor]:
        """The symbols, and whole data points where there are few kinds of them."""
        return self._tokens.categories(x)

    def to_table(self, x: Tensor) -> tuple[Tensor, tuple[str, ...]]:
        """One column a site."""
        return self._tokens.to_table(x)

    @property
    def width(self) -> int | None:
        """`sites`."""
        return self.sites

    def describe_states(self, event_shape: state.EventShape) -> str:
        """Tokens, or sequences of so many."""
        return self._tokens.describe_states(event_shape)

    # -- states ---------------------------------------------------------------------------------

    def state_shape(self, event_shape: state.EventShape) -> state.EventShape:
        """Shares of each symbol at each site."""
        return (*event_shape, self.vocabulary)

    def units(self, event_shape: state.EventShape) -> Units:
        """Corners of the simplex."""
        return _Corners(self.vocabulary)

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """As in `Simplex`."""
        return _SIMPLEX.exp(x, v)

    def nearest(self, x: Tensor) -> Tensor:
        """As in `Simplex`."""
        return _SIMPLEX.nearest(x)

    def project(self, x: Tensor, v: Tensor) -> Tensor:
        """As in `Simplex`."""
        return _SIMPLEX.project(x, v)

    def randn(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """As in `Simplex`."""
        return _SIMPLEX.randn(x, generator)

    def squared_norm(self, x: Tensor, v: Tensor) -> Tensor:
        """As in `Simplex`."""
        return _SIMPLEX.squared_norm(x, v)

    def dimension(self, event_shape: tuple[int, ...]) -> int:
        """That of states of a shape."""
        return _SIMPLEX.dimension(event_shape)

    def frame(self, x: Tensor) -> Tensor:
        """As in `Simplex`."""
        return _SIMPLEX.frame(x)

    def embed(self, x: Tensor) -> Tensor:
        """As in `Simplex`."""
        return _SIMPLEX.embed(x)


class _Corners(Units):
    """One-hot codes."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.vocabulary = vocabulary

    def forward(self, z: Tensor) -> Tensor:
        """The symbol of the largest share."""
        return z.argmax(-1)

    def standardized(self, x: Tensor) -> Tensor:
        """Corners."""
        return functional.one_hot(x, self.vocabulary).to(torch.get_default_dtype())

    def narrowed(self, x: Tensor) -> Tensor:
        """Integers stay."""
        return x

    def log_det_inverse(self) -> Tensor:
        """Raises `CapabilityError`: symbols have no volume."""
        raise CapabilityError("symbols have probabilities, no densities")

    def fit(self, x: Tensor, source: Tensor | None = None, *, common: bool = True) -> None:
        """Nothing to fit."""
