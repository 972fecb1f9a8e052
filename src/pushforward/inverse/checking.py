"""Is an operator linear, and its transpose the right one?"""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward._random import normal
from pushforward._shapes import per_event_sum
from pushforward.errors import InputError
from pushforward.inverse.operator import LinearOperator, Shape

__all__ = ["check_adjoint"]

_ROWS = 4


def check_adjoint(
    operator: LinearOperator, event_shape: Shape, *, seed: int = 0, tolerance: float = 1e-6
) -> float:
    """The largest error of `<A x, u> = <x, A^T u>`, over `|A x| |u|`, for some random `x` and `u`.

    Args:
        operator: one of your own, before methods rely on it.
        event_shape: that of a state.
        seed: of `x` and `u`.
        tolerance: the largest error that passes, in double precision.

    Raises `InputError` if the error is larger, if `A` is not linear, or if shapes do not fit.

    >>> from pushforward.inverse import Downsample
    >>> check_adjoint(Downsample(2), (1, 4, 4)) < 1e-12
    True
    """
    name, noise = type(operator).__name__, torch.Generator().manual_seed(seed)
    x = normal((_ROWS, *event_shape), noise, dtype=torch.float64)
    u = normal((_ROWS, *operator.observed_shape(event_shape)), noise, dtype=torch.float64)
    measured, back = operator(x), operator.adjoint(u, event_shape)
    if measured.shape != u.shape or back.shape != x.shape:
        raise InputError(
            f"{name} measures {tuple(measured.shape)} of {tuple(x.shape)}, and its transpose makes "
            f"{tuple(back.shape)} of {tuple(u.shape)}: its observed_shape is {tuple(u.shape[1:])}"
        )
    doubled = operator(2 * x[:1] + x[1:2])
    bent = _size(doubled - 2 * measured[:1] - measured[1:2]) / _size(doubled).clamp(min=1e-300)
    if not bool(bent <= tolerance):
        raise InputError(
            f"{name} is not linear: A(2 x + z) differs from 2 A(x) + A(z) by {float(bent):.2g} of "
            "its size; take Differentiable"
        )
    gap = per_event_sum(measured * u) - per_event_sum(x * back)
    error = float((gap.abs() / (_size(measured) * _size(u)).clamp(min=1e-300)).max())
    if not error <= tolerance:
        raise InputError(
            f"the adjoint of {name} is not its transpose: <Ax, u> and <x, A^T u> differ by "
            f"{error:.2g} of |Ax| |u|"
        )
    return error


def _size(x: Tensor) -> Tensor:
    return per_event_sum(x.square()).sqrt()
