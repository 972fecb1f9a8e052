"""What a posterior asks of the model that is its prior."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch

from pushforward.models.denoiser import Denoiser

__all__ = ["DenoisingPrior"]


class DenoisingPrior(Protocol):
    """States in units of their own, in which they are predicted under white Gaussian noise.

    Every `models.GenerativeModel` with a `denoiser` is one, and so is a model of colored noise in
    white coordinates, `models.whitened.in_white`.
    """

    @property
    def device(self) -> torch.device:
        """Where predictions are computed."""

    @property
    def dtype(self) -> torch.dtype:
        """In which precision."""

    def evaluating(self) -> AbstractContextManager[None]:
        """Evaluation mode for the networks."""

    def inward(self, x: Any) -> Any:
        """States in the units of the predictions."""

    def outward(self, z: Any) -> Any:
        """States in data units."""

    def denoiser(self, c: Any = None, n: int = 1, *, guidance: float = 1.0) -> Denoiser:
        """`E[x_0 | x_t]` in these units, for one context of all `n` or one each.

        Raises `CapabilityError` for a model that has none.
        """
