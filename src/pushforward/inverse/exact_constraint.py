"""Measurements without noise."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward._shapes import flatten
from pushforward.inverse.noise import Noise

__all__ = ["ExactConstraint"]


class ExactConstraint(Noise):
    """`y = A x`: states that do not fit have no chance at all.

    The posterior is that of the states on a plane. Its likelihood is 0 or 1, with no gradient, so
    that only methods that project onto the plane take it.

    >>> y = torch.tensor([[1.0], [1.0]])
    >>> ExactConstraint().log_prob(y, torch.tensor([[1.0], [1.5]]))
    tensor([0., -inf])
    """

    def log_prob(self, y: Tensor, clean: Tensor) -> Tensor:
        """Zero where the measurement is met up to rounding, else minus infinity."""
        scale = torch.maximum(flatten(y).abs().amax(1), flatten(clean).abs().amax(1))
        gap = flatten(y - clean).abs().amax(1)
        met = gap <= 64 * torch.finfo(clean.dtype).eps * scale
        return torch.where(met, 0.0, -math.inf).to(clean)

    def sample(self, clean: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The same."""
        return clean

    def spread(self, clean: Tensor) -> Tensor:
        """Zero."""
        return torch.zeros_like(clean)
