"""Squared distances by products of matrices, which lose no digits to an offset."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward._precision import has_double

__all__ = ["centered", "squared_distances"]


def centered(center: Tensor, *sets: Tensor) -> list[Tensor]:
    """Points `(n, d)` about a center `(d,)`, in double precision where the device has it.

    Squares of their entries are subtracted from one another later: those of an offset, or of the
    way from one cluster to the next, would be all that single precision holds.
    """
    if not has_double(center.device):
        return [points - center for points in sets]
    return [points.double() - center.double() for points in sets]


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """`|x|^2 + |y|^2 - 2 x.y` for points `(n, d)` and `(m, d)`, `(n, m)`: differentiable any
    number of times, and in forward mode.

    >>> squared_distances(torch.tensor([[0.0], [1.0]]), torch.tensor([[3.0]]))
    tensor([[9.],
            [4.]])
    """
    lengths = [points.square().sum(1, keepdim=True) for points in (x, y)]
    ones = [torch.ones_like(length) for length in lengths]
    # One product in the place of three tables.
    left = torch.cat([-2 * x, lengths[0], ones[0]], 1)
    right = torch.cat([y, ones[1], lengths[1]], 1)
    return (left @ right.mT).clamp(min=0)
