"""Functions of which some values are given: what a network is told of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward.models.predictor import Predictor
from pushforward.protocols import Time

__all__ = ["GivenValues", "partly_known"]


def partly_known(model: Any, x: Tensor) -> Tensor:
    """Functions in the units of the model, NaN where nothing is known; that may be everywhere."""
    missing = x.isnan()
    nowhere = missing.flatten(1).all(1).reshape(-1, *(1 for _ in x.shape[1:]))
    z: Tensor = model.inward(torch.where(nowhere, 0.0, x))
    return torch.where(missing.to(z.device), torch.nan, z)


@dataclass(frozen=True)
class GivenValues:
    r"""`E[x_0 | x_t, x_0 at some points]`, by a network that is told which points these are.

    It sees the data themselves where they are given, and noisy values elsewhere. The latter are a
    function at fewer points under the noise of these: its time reversal needs nothing more, since
    velocity and score at a point are affine in the value and the prediction there.

    Args:
        predictor: whose network takes booleans `known` after its context.
        z: functions in the units of the model, `(B, C, *sizes)`.
        known: where their values are given, of the same shape.
    """

    predictor: Predictor
    z: Tensor
    known: Tensor

    @property
    def reading(self) -> Any:
        """That of the predictor."""
        return self.predictor.reading

    def answer(self, x_t: Tensor, t: Time, c: Any = None) -> tuple[Any, Tensor]:
        """The row of the reading and the output of the network, NaN where values are given: a loss
        leaves these out."""
        row, output = self.predictor.answer(self._seen(x_t), t, c, self.known)
        return row, torch.where(self.known, torch.nan, output)

    def __call__(self, x_t: Tensor, t: Time, c: Any = None) -> Tensor:
        """The prediction, which is the data where they are given."""
        pred = self.predictor(self._seen(x_t), t, c, self.known)
        return torch.where(self.known, self.z, pred)

    def _seen(self, x_t: Tensor) -> Tensor:
        return torch.where(self.known, self.z, x_t)
