"""The simplest distribution: a state that is certain."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pushforward.errors import CapabilityError

__all__ = ["Constant"]


class Constant:
    """One state for certain: a sequence of masks, an empty set of points.

    Args:
        state: a tensor, or a tuple of tensors such as `Points`, with a leading axis of one.

    >>> Constant(torch.tensor([[7, 7]])).sample(2)
    tensor([[7, 7],
            [7, 7]])
    """

    def __init__(self, state: Any) -> None:
        self.state = state

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> Any:
        """`n` copies; nothing is random."""
        if isinstance(self.state, Tensor):
            return self.state.expand(n, *self.state.shape[1:]).clone()
        return type(self.state)(*(part.expand(n, *part.shape[1:]).clone() for part in self.state))

    def log_prob(self, x: Any) -> Tensor:
        """A point mass has no density: raises `CapabilityError`."""
        raise CapabilityError("a point mass has no density; compare states with its .state")
