"""The noise of measurements: how likely one is, given what it would be without."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from pushforward.errors import InputError

__all__ = ["Noise", "positive_level"]


class Noise(ABC):
    """The distribution of a measurement `y` about the noiseless `A x`."""

    @abstractmethod
    def log_prob(self, y: Tensor, clean: Tensor) -> Tensor:
        """`log p(y | A x)` in nats for `(B, *observed)` each, `(B,)`."""

    @abstractmethod
    def sample(self, clean: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Measurements with noise, one for each row."""

    @abstractmethod
    def spread(self, clean: Tensor) -> Tensor:
        """The standard deviation of each number of a measurement, shaped like it."""

    def possible(self, y: Tensor) -> Tensor:
        """A measurement as it is. Raises `InputError` for one that the noise cannot have made."""
        return y


def positive_level(name: str, value: float | Tensor, hint: str = "") -> Tensor:
    """One level for all numbers of a measurement, or one each. Raises `InputError` unless all are
    positive and finite."""
    try:
        found = torch.as_tensor(value, dtype=torch.get_default_dtype())
    except (TypeError, ValueError, RuntimeError):
        found = torch.tensor(torch.nan)
    if not found.numel() or not bool((found > 0).all() and found.isfinite().all()):
        raise InputError(f"{name} is positive and finite, not {value}{hint}")
    return found
