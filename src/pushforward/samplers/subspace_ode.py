"""The probability flow of states in a linear subspace, in the coordinates of a basis of it.

A divergence is a trace over the directions in which states can move. In an orthonormal basis of the
subspace these are the coordinates, and volumes are those of the subspace.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.samplers.ode import FlowODE
from pushforward.spaces import LinearSpace

__all__ = ["SubspaceODE"]


class SubspaceODE(FlowODE):
    """Another flow with its states `(B, *event)` as coordinates `(B, dimension)`.

    Args:
        inner: the flow in the arrays themselves, which stays in the subspace.
        space: whose `frame` is the basis, the same at every point.
    """

    def __init__(self, inner: FlowODE, space: LinearSpace) -> None:
        self.inner, self.space = inner, space
        self.basis: Tensor | None = None

    def clock(self, t: float) -> float:
        """That of the flow."""
        return self.inner.clock(t)

    def scale(self, t: float) -> float:
        """That of the flow."""
        return self.inner.scale(t)

    def prepare(self, clock: Sequence[float]) -> None:
        """As the flow does."""
        self.inner.prepare(clock)

    def enter(self, x: Any, t: float) -> Tensor:
        """The products with the vectors of the basis."""
        z = self.inner.enter(x, t)
        self.basis = self.space.frame(z[:1])[0]
        return self._coordinates(z)

    def leave(self, z: Tensor, t: float) -> Any:
        """The combination of the vectors of the basis."""
        return self.inner.leave(self._vector(z), t)

    def velocity(self, z: Tensor, w: float) -> Tensor:
        """The velocity in the basis."""
        return self._coordinates(self.inner.velocity(self._vector(z), w))

    def _coordinates(self, z: Tensor) -> Tensor:
        return torch.einsum("b...,k...->bk", z, self._known(z))

    def _vector(self, z: Tensor) -> Tensor:
        return torch.einsum("bk,k...->b...", z, self._known(z))

    def _known(self, z: Tensor) -> Tensor:
        if self.basis is None:
            raise InputError("coordinates have no basis before states have entered")
        return self.basis.to(z)
