"""The noise of measurements: how likely one is, given what it would be without."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from pushforward._random import normal_like
from pushforward._shapes import per_event_sum
from pushforward.errors import InputError

__all__ = ["GaussianNoise", "Noise"]


class Noise(ABC):
    """The distribution of a measurement `y` about the noiseless `A x`."""

    @abstractmethod
    def log_prob(self, y: Tensor, clean: Tensor) -> Tensor:
        """`log p(y | A x)` in nats for `(B, *observed)` each, `(B,)`."""

    @abstractmethod
    def sample(self, clean: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Measurements with noise, one for each row."""


class GaussianNoise(Noise):
    """`y = A x + std e` with standard normal `e`.

    Args:
        std: in the units of the measurement, one for all numbers or one each, `(*observed)`.

    Raises `InputError` unless all are positive: without noise a measurement is an exact constraint.

    >>> noise = GaussianNoise(0.5)
    >>> noise.log_prob(torch.zeros(1, 1), torch.zeros(1, 1))
    tensor([-0.2258])
    """

    def __init__(self, std: float | Tensor) -> None:
        found = torch.as_tensor(std, dtype=torch.get_default_dtype())
        if not bool((found > 0).all() and found.isfinite().all()):
            raise InputError(f"the deviation of the noise is positive and finite, not {std}")
        self.std = found

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
