"""What a score is, and its value, checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from pushforward.errors import InputError

__all__ = ["ScoreFunction", "evaluate"]

ScoreFunction = Callable[..., Tensor]
"""A network `s(x)`, or `s(x, sigma)` with levels `(B,)`, that returns the shape of `x`."""


def evaluate(score: ScoreFunction, x: Tensor, *more: Any) -> Tensor:
    """The score at `x`. Raises `InputError` unless it has the shape of `x`."""
    value = score(x, *more)
    if not isinstance(value, Tensor) or value.shape != x.shape:
        what = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise InputError(f"the score network returned {what} for states {tuple(x.shape)}")
    return value
