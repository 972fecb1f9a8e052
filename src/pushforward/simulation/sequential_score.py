"""What estimates the score of particles, time after time."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from pushforward.simulation.diffusivity import Diffusivity

__all__ = ["ScoreFit", "SequentialScore"]


class ScoreFit(NamedTuple):
    """How a fit to the particles of one time went.

    Args:
        steps: of the optimizer.
        loss: the mean loss of the last steps; NaN where nothing is optimized.
        gradient: the norm of the last gradient; NaN where there is none.
        converged: whether the norm fell below its tolerance, or nothing was asked.
    """

    steps: int
    loss: float
    gradient: float
    converged: bool


class SequentialScore(Protocol):
    """An estimate `s(x)` of the score of the particles that it was fitted to last."""

    def fit(
        self, x: Tensor, diffusivity: Diffusivity, generator: torch.Generator, *, first: bool
    ) -> ScoreFit:
        """Fit to particles `(B, *event)`, going on from the fit before unless it is the `first`."""

    def __call__(self, x: Tensor) -> Tensor:
        """The score at states `(B, *event)`; differentiable in them."""

    def state(self) -> dict[str, Tensor]:
        """All that the next fit goes on from, by name."""

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `state` gave."""
