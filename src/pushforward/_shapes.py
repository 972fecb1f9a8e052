"""Shapes: times act on the batch axis, whatever the event shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = [
    "accumulate",
    "batch_size",
    "combine",
    "flatten",
    "for_each_row",
    "like",
    "per_event_mean",
    "per_event_sum",
    "not_finite",
]

Weight = float | Tensor


def like(a: Weight, x: Tensor) -> Weight:
    """View a weight so that it multiplies `x` row by row: `(B,)` becomes `(B, 1, ..., 1)`.

    Floats and zero-dimensional tensors act on every row and pass unchanged.

    >>> like(torch.ones(4), torch.zeros(4, 3, 2)).shape
    torch.Size([4, 1, 1])
    """
    if isinstance(a, float | int) or a.ndim == 0:
        return a
    return a.reshape(a.shape + (1,) * (x.ndim - a.ndim))


def combine(weights: Sequence[Weight], tensors: Sequence[Tensor]) -> Tensor:
    """The combination `sum_i w_i x_i`, in one pass per tensor.

    Each weight is a float (fused into the addition), zero-dimensional, or `(B,)`.

    >>> combine((2.0, torch.tensor([1.0, 0.0])), (torch.ones(2, 1), torch.ones(2, 1)))
    tensor([[3.],
            [2.]])
    """
    return accumulate(tensors[0] * like(weights[0], tensors[0]), weights[1:], tensors[1:])


def accumulate(x: Tensor, weights: Sequence[Weight], tensors: Sequence[Tensor]) -> Tensor:
    """The sum `x + sum_i w_i x_i`, in one pass per weighted tensor.

    >>> accumulate(torch.ones(1, 2), (2.0,), (torch.ones(1, 2),))
    tensor([[3., 3.]])
    """
    for weight, tensor in zip(weights, tensors, strict=True):
        if isinstance(weight, float | int):
            x = torch.add(x, tensor, alpha=weight)
        else:
            x = x + like(weight, tensor) * tensor
    return x


def flatten(x: Tensor) -> Tensor:
    """Rows of a batch as vectors, `(B, *event)` to `(B, d)`."""
    # Not by a size of -1, which no rows leave open.
    return x.flatten(1) if x.ndim > 1 else x.unsqueeze(1)


def per_event_sum(x: Tensor) -> Tensor:
    """Sum over the event axes, `(B, *event)` to `(B,)`."""
    return flatten(x).sum(-1)


def per_event_mean(x: Tensor) -> Tensor:
    """Mean over the event axes, `(B, *event)` to `(B,)`."""
    return flatten(x).mean(-1)


def batch_size(x: Any) -> int:
    """The number of rows of a state: a tensor, or a tuple of states.

    >>> batch_size((torch.zeros(3, 2), torch.zeros(3)))
    3
    """
    while not isinstance(x, Tensor):
        x = x[0]
    return x.shape[0]


def not_finite(x: Tensor) -> int:
    """How many states of a batch have an entry that is not finite.

    >>> import torch
    >>> not_finite(torch.tensor([[0.0, 1.0], [float("nan"), 2.0]]))
    1
    """
    return int((~x.detach().flatten(1).isfinite()).any(-1).sum())


def for_each_row(c: Tensor, n: int, ndim: int) -> Tensor:
    """What one of `n` rows has each, where `c` may be `(n, *event)`, `(1, *event)` or `(*event)`.

    `ndim` is the number of axes of `event`; a shape that fits none of them comes back as it is.

    >>> for_each_row(torch.ones(5), 3, ndim=1).shape
    torch.Size([3, 5])
    """
    if c.ndim == ndim:
        c = c.unsqueeze(0)
    return c.expand(n, *c.shape[1:]) if c.ndim == ndim + 1 and len(c) == 1 else c
