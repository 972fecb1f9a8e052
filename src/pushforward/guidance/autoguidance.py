"""Autoguidance: away from a worse version of the same model (Karras et al. 2024)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward import checks
from pushforward.protocols import Model, Time

__all__ = ["Autoguidance"]


@dataclass(frozen=True)
class Autoguidance:
    r"""`bad + strength (model - bad)`, with a smaller or less trained version of the model.

    The two err in the same places, the bad one more, so that `strength > 1` takes away more of the
    error than of the diversity (Karras et al. 2024). 1 is the model itself. With the model without
    its context in the place of the bad one it would be `ClassifierFree`.

    Exactness: none is claimed for any strength but 1: what is sampled is no tilted distribution.

    Cost: one evaluation of each model.

    Raises `InputError` for a negative strength.

    >>> good, bad = lambda x, t, c=None: x + 2, lambda x, t, c=None: x + 1
    >>> Autoguidance(good, bad, strength=2.0)(torch.zeros(1, 1), 0.5)
    tensor([[3.]])
    """

    model: Model
    bad: Model
    strength: float = 2.0

    def __post_init__(self) -> None:
        checks.number("strength", self.strength, least=0)

    def __call__(self, x_t: Tensor, t: Time, c: Any = None) -> Tensor:
        """The extrapolated prediction."""
        return torch.lerp(self.bad(x_t, t, c), self.model(x_t, t, c), self.strength)
