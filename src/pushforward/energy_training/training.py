"""What a way to train an energy is to the model that it trains."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["EnergyFunction", "Training"]

EnergyFunction = Callable[[Tensor, Tensor | None], Tensor]
"""`E(x, c)` of states `(B, *event)` and labels `(B,)`, or `None`; `(B,)`."""


class Training(nn.Module):
    """A loss for an energy, with whatever it remembers from one step to the next.

    A module, so that its memory is saved, moved and resumed with the model.
    """

    comparable: bool = True
    """Whether a lower loss is a better model."""

    meaning: str = ""
    """What the loss is, in sentences for whoever sees its curve."""

    rate: float = 1.0
    """A factor of the run's learning rate for the network."""

    def allocate(self, event_shape: tuple[int, ...], classes: int | None, scale: float) -> None:
        """Make room, once the event shape is known; `scale` is that of the model's Gaussian base.

        Often there is nothing to remember.
        """

    def prepare(self, x: Tensor, c: Tensor | None, generator: torch.Generator) -> None:
        """Take what is needed from standardized training data `(N, *event)`; often nothing."""

    compares_rows: str | None = None
    """What sees a batch as a whole, so that a part of it costs as much; see `Trainable`."""

    @abstractmethod
    def forward(
        self,
        energy: EnergyFunction,
        x: Tensor,
        c: Tensor | None,
        generator: torch.Generator | None,
        rows: slice = slice(None),
    ) -> Tensor:
        """The loss of standardized data `(B, *event)` with labels `(B,)` or `None`; `(B,)`.

        Or of a part of them, as if it had been cut out of the loss of the whole.
        Only in training mode is anything remembered.
        """

    def warnings(self) -> list[str]:
        """What went wrong in training, in sentences."""
        return []
