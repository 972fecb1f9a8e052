"""The softmax of rows of few numbers."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["softmax"]

_FEW = 8
"""Numbers in a row up to which columns are faster: 400 and 60 microseconds for 10,000 rows of 2."""


def softmax(logits: Tensor) -> Tensor:
    """`torch.softmax(logits, -1)`, by columns where rows are short.

    On a processor torch's kernel goes through the numbers of a row with instructions for many
    numbers, one row after the other: ten times as long for rows of few as through a column of all
    rows.

    >>> softmax(torch.tensor([[0.0, 0.0], [0.0, torch.inf]]).neg())
    tensor([[0.5000, 0.5000],
            [1.0000, 0.0000]])
    """
    few = logits.shape[-1]
    if few > _FEW or not few or logits.ndim < 2 or logits.device.type != "cpu":
        return torch.softmax(logits, -1)
    columns = logits.reshape(-1, few).mT.contiguous()
    return torch.softmax(columns, 0).mT.reshape(logits.shape)
