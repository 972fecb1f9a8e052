"""Normal noise of a known level."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward._random import normal_like
from pushforward._shapes import per_event_sum
from pushforward.inverse.noise import Noise, positive_level

__all__ = ["GaussianNoise"]


class GaussianNoise(Noise):
    """`y = A x + std e` with standard normal `e`.

    Args:
        std: in the units of the measurement, one for all numbers or one each, `(*observed)`.

    Raises `InputError` unless all are positive: a measurement without noise is an
    `ExactConstraint`.

    >>> noise = GaussianNoise(0.5)
    >>> noise.log_prob(torch.zeros(1, 1), torch.zeros(1, 1))
    tensor([-0.2258])
    """

    def __init__(self, std: float | Tensor) -> None:
        self.std = positive_level(
            "the deviation of the noise", std, " (without noise: ExactConstraint())"
        )

    @property
    def variance(self) -> Tensor:
        """`()` or `(*observed)`."""
        return self.std.square()

    def log_prob(self, y: Tensor, clean: Tensor) -> Tensor:
        """The normal log-density."""
        std = self.std.to(clean)
        z = (y - clean) / std
        return per_event_sum(-0.5 * z.square() - std.log() - 0.5 * math.log(2 * math.pi))

    def sample(self, clean: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """`A x + std e`."""
        return clean + self.std.to(clean) * normal_like(clean, generator)

    def spread(self, clean: Tensor) -> Tensor:
        """`std`."""
        return self.std.to(clean).expand_as(clean)
