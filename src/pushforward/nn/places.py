"""Where things are, as numbers that attention can compare."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["places"]


def places(rows: int, columns: int, width: int) -> Tensor:
    """Sines and cosines of the row and the column of each cell of a grid, `(rows columns, width)`.

    Of frequencies from 1 to 1/10,000 (Vaswani et al. 2017); what is left of a width that four does
    not divide is zero.

    >>> places(2, 3, 8).shape
    torch.Size([6, 8])
    """
    count = width // 4
    frequencies = torch.exp(-math.log(10_000.0) * torch.arange(count) / max(1, count))
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    angles = torch.cat(
        [place.reshape(-1, 1) * frequencies for place in (row.float(), column.float())], -1
    )
    return functional.pad(torch.cat([angles.sin(), angles.cos()], -1), (0, width % 4))
