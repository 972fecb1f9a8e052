"""The exponential moving average of the weights, which is the model that samples."""

from __future__ import annotations

import copy
from collections.abc import Callable

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
        # Without their gradients, so that moving them needs no other mode.
        self._weights = _weights(self.model), _weights(model)
        self._buffers = list(self.model.buffers()), list(model.buffers())
        self._versions = [buffer._version for buffer in self._buffers[1]]
        self._kept: list[Tensor] = []
        self.keep()

    def update(self, step: int) -> None:
        """Move the average towards the weights after optimizer step `step`."""
        decay = min(self.decay, (1 + step) / (10 + step))
        # One kernel for all tensors of a kind: a loop over them costs more than a small step.
        if self._weights[0]:
            torch._foreach_lerp_(*self._weights, 1 - decay)
        # Most buffers never change, and data among them may be large.
        for k, (ours, theirs) in enumerate(zip(*self._buffers, strict=True)):
            if theirs._version != self._versions[k]:
                self._versions[k] = theirs._version
                ours.copy_(theirs)

    @torch.no_grad()
    def keep(self) -> None:
        """Remember the average as it is now, to come back to."""
        self._kept = [tensor.clone() for tensor in self._tensors()]

    @torch.no_grad()
    def keep_other(self, read: Callable[[nn.Module], None]) -> None:
        """Remember, in the place of the average, what is read into the model; it stays as it is."""
        now = [tensor.clone() for tensor in self._tensors()]
        try:
            read(self.model)
            self.keep()
        finally:
            torch._foreach_copy_(self._tensors(), now)

    @torch.no_grad()
    def go_back(self) -> None:
        """Return to what was kept last."""
        torch._foreach_copy_(self._tensors(), self._kept)

    def _tensors(self) -> list[Tensor]:
        return self._weights[0] + self._buffers[0]


def _weights(model: nn.Module) -> list[Tensor]:
    return [parameter.detach() for parameter in model.parameters()]
