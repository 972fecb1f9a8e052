"""What chains move on: a log-density up to a constant, with its gradient."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pushforward._shapes import flatten, not_finite
from pushforward.errors import InputError

__all__ = ["LogDensity", "ChainState", "check_states", "evaluate", "finite", "select", "valued"]

LogDensity = Callable[[Tensor], Tensor]
"""A differentiable function of states `(B, *event)` that returns `(B,)`; rows do not interact."""


class ChainState(NamedTuple):
    """Chains at one time, with what the next step needs to know of the target.

    Args:
        x: where they are, `(B, *event)`.
        log_p: the log-density there, up to a constant, `(B,)`.
        gradient: its gradient, `(B, *event)`; NaN for kernels that need none (`valued`).
        momentum: of kernels that keep one from step to step, `(B, *event)`.
    """

    x: Tensor
    log_p: Tensor
    gradient: Tensor
    momentum: Tensor | None = None


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


def evaluate(log_p: LogDensity, x: Tensor) -> ChainState:
    """Chains at `x`, with one evaluation of the log-density and its gradient.

    Raises `InputError` if the log-density is not one number per state, or has no derivative.

    >>> evaluate(lambda x: -x.square().sum(-1) / 2, torch.ones(1, 2)).gradient
    tensor([[-1., -1.]])
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        value = _checked(log_p(x), x)
        if not value.requires_grad:
            raise InputError(
                "the log-density has no derivative in x: compute it from x by differentiable "
                "operations, without detach() or no_grad()"
            )
        (gradient,) = torch.autograd.grad(value.sum(), x, materialize_grads=True)
    return ChainState(x.detach(), value.detach(), gradient)


def valued(log_p: LogDensity, x: Tensor) -> ChainState:
    """Chains at `x`, without the gradient, which need not exist.

    Raises `InputError` if the log-density is not one number per state.

    >>> valued(lambda x: -x.abs().sum(-1), torch.ones(1, 2)).log_p
    tensor([-2.])
    """
    with torch.no_grad():
        value = _checked(log_p(x.detach()), x)
    return ChainState(x.detach(), value, torch.full_like(x, math.nan))


def finite(state: ChainState) -> Tensor:
    """Which chains have a finite log-density and gradient, `(B,)`."""
    return state.log_p.isfinite() & flatten(state.gradient).sum(-1).isfinite()


def select(chosen: Tensor, new: ChainState, old: ChainState) -> ChainState:
    """The new state of the chains that are chosen, `(B,)`, and the old one of the others."""
    rows = chosen.view(-1, *(1,) * (new.x.ndim - 1))
    kept = new.momentum is not None and old.momentum is not None
    return ChainState(
        torch.where(rows, new.x, old.x),
        torch.where(chosen, new.log_p, old.log_p),
        torch.where(rows, new.gradient, old.gradient),
        torch.where(rows, new.momentum, old.momentum) if kept else None,  # type: ignore[arg-type]
    )


def _checked(value: Any, x: Tensor) -> Tensor:
    """A value for each state; raises `InputError` for anything else."""
    if not isinstance(value, Tensor) or value.shape != (len(x),):
        what = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise InputError(
            f"the log-density of states {tuple(x.shape)} has shape ({len(x)},), not {what}"
        )
    return value
