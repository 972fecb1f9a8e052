"""What score matching is given, checked at the door."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pushforward._shapes import not_finite
from pushforward.errors import InputError

__all__ = ["Score", "check_states", "evaluate", "positive_count"]

Score = Callable[..., Tensor]
"""A network `s(x)`, or `s(x, sigma)` with levels `(B,)`, that returns the shape of `x`."""


def check_states(x: Any) -> Tensor:
    """Floating-point states `(B, *event)`, finite; raises `InputError` for anything else."""
    if not (isinstance(x, Tensor) and x.is_floating_point()):
        kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise InputError(f"states are a floating-point tensor, not {kind}: use x.float()")
    if x.ndim < 2 or not x.shape[0]:
        raise InputError(f"states have shape (B, *event) with B > 0, not {tuple(x.shape)}")
    # On a GPU a look at the values would make every training step wait.
    if x.device.type == "cpu" or not torch.is_grad_enabled():
        bad = not_finite(x)
        if bad:
            raise InputError(f"{bad} of {len(x)} states are not finite")
    return x


def evaluate(score: Score, x: Tensor, *told: Any) -> Tensor:
    """The score at `x`. Raises `InputError` unless it has the shape of `x`."""
    value = score(x, *told)
    if not isinstance(value, Tensor) or value.shape != x.shape:
        what = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise InputError(f"the score network returned {what} for states {tuple(x.shape)}")
    return value


def positive_count(value: Any, what: str) -> int:
    """A whole number of something. Raises `InputError` unless it is at least one."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"{what} is a whole number, at least 1, not {value!r}")
    return value
