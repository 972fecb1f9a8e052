"""Functions that are smooth, or have a subgradient, where their usual formula divides by zero.

Both branches of `torch.where` are differentiated, so that each gets an argument that it can take.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["root", "sinhc"]


def root(square: Tensor) -> Tensor:
    """The root of squares that rounding may make negative, with a gradient of zero at zero.

    >>> root(torch.tensor([4.0, 0.0, -1e-9]))
    tensor([2., 0., -0.])
    """
    positive = square > 0
    return torch.where(positive, torch.where(positive, square, 1.0).sqrt(), 0.0 * square)


def sinhc(r: Tensor) -> Tensor:
    """`sinh(r) / r`.

    >>> sinhc(torch.zeros(1))
    tensor([1.])
    """
    near = r < 1e-2
    safe = torch.where(near, 1.0, r)
    return torch.where(near, 1 + r.square() / 6 + r**4 / 120, torch.sinh(safe) / safe)
