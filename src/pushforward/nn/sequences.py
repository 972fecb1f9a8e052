"""A network of sequences: a recurrent one, whose vector depends on the order."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pushforward.checks import whole
from pushforward.config import configurable
from pushforward.nn.sets import elements

__all__ = ["SequenceEncoder"]


@configurable
class SequenceEncoder(nn.Module):
    """Gated recurrent units along a sequence (Cho et al. 2014), and a linear map of where they end.

    A sequence that is shorter than others ends where its mask does. An empty one has a vector, too.

    Args:
        inputs: numbers of a step.
        outputs: the length of the vector.
        width: hidden units.

    Raises `InputError` for sizes below one, and for what are no sequences of such steps.

    >>> SequenceEncoder(2, 4, width=8)(torch.randn(5, 10, 2)).shape
    torch.Size([5, 4])
    """

    def __init__(self, inputs: int, outputs: int, width: int = 64) -> None:
        super().__init__()
        self.inputs = whole("inputs", inputs)
        self.recurrent = nn.GRU(inputs, whole("width", width), batch_first=True)
        self.last = nn.Linear(width + 1, whole("outputs", outputs))

    def forward(self, c: Any) -> Tensor:
        """The vectors `(B, outputs)` of sequences: `(x, mask)`, steps `(B, T, inputs)` and which of
        them are there, the first ones of each row, or steps alone if all are."""
        x, mask = elements(c, self.inputs)
        states, _ = self.recurrent(torch.where(mask.unsqueeze(-1), x, 0.0))
        count = mask.sum(1, keepdim=True)
        end = (count - 1).clamp(min=0).unsqueeze(-1).expand(-1, 1, states.shape[2])
        state = states.gather(1, end).squeeze(1) * (count > 0)
        return self.last(torch.cat([state, count.to(x).log1p()], 1))
