"""R^d, and any array shape seen as R^d."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward._random import normal_like
from pushforward._shapes import per_event_mean, per_event_sum
from pushforward.config import configurable

__all__ = ["Euclidean"]


@configurable
@dataclass(frozen=True)
class Euclidean:
    """Vectors, images or signals, with white noise.

    >>> Euclidean().retract(torch.zeros(1, 2), torch.ones(1, 2))
    tensor([[1., 1.]])
    """

    linear = True
    white = True

    def retract(self, x: Tensor, v: Tensor) -> Tensor:
        """`x + v`."""
        return x + v

    def randn(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Independent standard normal entries, shaped like `x`."""
        return normal_like(x, generator)

    def squared_norm(self, v: Tensor) -> Tensor:
        """The mean square over the event, so that losses compare across dimensions; `(B,)`."""
        return per_event_mean(v.square())

    def noise_log_prob(self, x: Tensor) -> Tensor:
        """The standard normal log-density, `(B,)`."""
        return -0.5 * per_event_sum(x.square() + math.log(2 * math.pi))
