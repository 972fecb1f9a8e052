"""Noise with heavier tails: outliers."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward._random import uniform_like
from pushforward._shapes import per_event_sum
from pushforward.inverse.noise import Noise, positive_level

__all__ = ["LaplaceNoise"]


class LaplaceNoise(Noise):
    """`y = A x + e` with `p(e) = exp(-|e| / scale) / (2 scale)`, of deviation `sqrt(2) scale`.

    Args:
        scale: in the units of the measurement, one for all numbers or one each, `(*observed)`.

    Raises `InputError` unless all are positive.

    >>> LaplaceNoise(0.5).log_prob(torch.ones(1, 1), torch.zeros(1, 1))
    tensor([-2.])
    """

    def __init__(self, scale: float | Tensor) -> None:
        self.scale = positive_level("the scale of the noise", scale)

    def log_prob(self, y: Tensor, clean: Tensor) -> Tensor:
        """`-|y - A x| / scale - log(2 scale)`."""
        scale = self.scale.to(clean)
        return per_event_sum(-(y - clean).abs() / scale - (2 * scale).log())

    def sample(self, clean: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """By the inverse of the distribution function."""
        u = uniform_like(clean.double(), generator) - 0.5
        size = -torch.log1p(-2 * u.abs())
        return clean + self.scale.to(clean) * (u.sign() * size).to(clean)

    def spread(self, clean: Tensor) -> Tensor:
        """`sqrt(2) scale`."""
        return math.sqrt(2) * self.scale.to(clean).expand_as(clean)
