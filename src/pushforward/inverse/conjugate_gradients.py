"""Conjugate gradients for many systems at once, each by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward._shapes import like, per_event_sum

__all__ = ["LinearSolution", "conjugate_gradients"]


class LinearSolution(NamedTuple):
    """Approximate solutions of linear systems.

    Args:
        x: `(B, *)`.
        residual: `|b - V x| / |b|` of each, `(B,)`, as the iteration has it.
    """

    x: Tensor
    residual: Tensor


def conjugate_gradients(
    apply: Callable[[Tensor], Tensor], b: Tensor, iterations: int, tolerance: float = 1e-6
) -> LinearSolution:
    """`V^{-1} b` for symmetric positive definite `V`, one for each row (Hestenes & Stiefel 1952).

    From zero, so that a solution cut short is a smaller one. A row stops where its residual has
    come down to `tolerance` of its right-hand side, or where `p^T V p <= 0` shows that its `V` is
    not positive definite: what the other rows do does not matter to it.

    Args:
        apply: `V p` for `p` shaped like `b`; rows do not interact.
        b: `(B, *)`.
        iterations: products with `V`, at most.
        tolerance: of the relative residual.

    >>> b = torch.tensor([[3.0, 8.0]])
    >>> conjugate_gradients(lambda p: torch.tensor([1.0, 2.0]) * p, b, 2).x
    tensor([[3., 4.]])
    """
    x, r, p = torch.zeros_like(b), b, b
    square = per_event_sum(b.square())
    goal = tolerance**2 * square
    going = square > goal
    first = square
    for _ in range(iterations):
        if not bool(going.any()):
            break
        image = apply(p)
        curvature = per_event_sum(p * image)
        going = going & (curvature > 0)
        # Rows that have stopped take steps of zero, and keep their direction.
        step = torch.where(going, square / torch.where(going, curvature, 1.0), 0.0)
        x, r = x + like(step, p) * p, r - like(step, p) * image
        now = torch.where(going, per_event_sum(r.square()), square)
        rows = going.view(-1, *(1,) * (p.ndim - 1))
        turn = like(now / square.clamp(min=torch.finfo(b.dtype).tiny), p)
        p, square = torch.where(rows, r + turn * p, p), now
        going = going & (square > goal)
    nothing = first == 0
    return LinearSolution(x, (square / torch.where(nothing, 1.0, first)).sqrt())
