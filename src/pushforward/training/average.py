"""The exponential moving average of the weights, which is the model that samples."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

__all__ = ["Average"]


class Average:
    """A copy of a model whose weights follow those of the original slowly.

    The decay is `min(decay, (1 + n) / (10 + n))` at step `n`, so that the first, random weights are
    soon forgotten.

    >>> model = nn.Linear(1, 1)
    >>> average = Average(model, decay=0.9)
    >>> average.update(0)
    >>> torch.equal(average.model.weight, model.weight)
    True
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self._weights: tuple[list[Tensor], list[Tensor]] = (
            list(self.model.parameters()),
            list(model.parameters()),
        )
        self._buffers = (list(self.model.buffers()), list(model.buffers()))

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the average towards the weights after optimizer step `step`."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(*self._weights, 1 - decay)
        for kept, current in zip(*self._buffers, strict=True):
            kept.copy_(current)
