"""What a space can do: continuous ones are moved in, jump spaces are replaced site by site."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

__all__ = ["JumpSpace", "LinearSpace", "Manifold", "Space"]


class Space(Protocol):
    """A space that is moved in along tangent vectors.

    `linear` says that tangent vectors at different points may be added, so that a higher-order
    step can average two of them.
    """

    linear: bool

    def retract(self, x: Tensor, v: Tensor) -> Tensor:
        """`x + v`, bent to the space: the exponential map, or agreeing with it to second order."""

    def randn(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Unit noise in the tangent space at `x`, shaped like `x`."""

    def squared_norm(self, v: Tensor) -> Tensor:
        """The squared length of tangent vectors used as a loss, `(B, *event)` to `(B,)`."""


class LinearSpace(Space, Protocol):
    """A vector space with normal noise that has a density.

    `white` says that the entries of unit noise are independent, with unit variance.
    """

    white: bool

    def noise_log_prob(self, x: Tensor) -> Tensor:
        """The log-density of unit noise at `x`, `(B,)`."""


class Manifold(Space, Protocol):
    """A space with geodesics and Brownian motion in closed form."""

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """The tangent vector at `x` whose geodesic reaches `y` at unit time."""

    def uniform(self, n: int, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """`n` points of the uniform law with event shape `shape`."""

    def log_volume(self, shape: tuple[int, ...]) -> float:
        """The logarithm of the volume of the events of shape `shape`."""

    def diffuse(
        self, x: Tensor, variance: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """Brownian motion from `x`, exactly, after `variance` `(B,)` of time."""

    def heat_score(self, x: Tensor, start: Tensor, variance: Tensor) -> Tensor:
        """The gradient in `x` of the log heat kernel from `start` after `variance` `(B,)`."""


class JumpSpace(Protocol):
    """A space of sites whose contents are replaced at random times."""

    def where(self, fired: Tensor, new: Any, old: Any) -> Any:
        """`new` at the sites that fired, `old` elsewhere; `fired` is `(B, sites)`."""
