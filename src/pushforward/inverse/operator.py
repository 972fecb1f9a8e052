"""Measurement operators: what a state would give without noise."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from pushforward.errors import InputError

__all__ = ["Differentiable", "LinearOperator", "Operator", "Shape"]

Shape = tuple[int, ...]


class Operator(ABC):
    """A map from states `(B, *event)`, in data units, to noiseless measurements `(B, *observed)`.

    Rows do not interact, and the map is differentiable by autograd unless its class says otherwise.
    """

    @abstractmethod
    def observed_shape(self, event_shape: Shape) -> Shape:
        """The shape of the measurement of one state. Raises `InputError` for states it does not
        fit."""

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """The measurements of some states."""


class LinearOperator(Operator):
    """`A x`, with its transpose."""

    disjoint_rows: bool = False
    """Whether each number of the state goes into one measurement at most: then `A D A^T` is
    diagonal for every diagonal `D`."""

    def adjoint(self, u: Tensor, event_shape: Shape) -> Tensor:
        """`A^T u` for `(B, *observed)`, so that `<A x, u> = <x, A^T u>`.

        By automatic differentiation, unless a class knows better.
        """
        with torch.enable_grad():
            x = u.new_zeros(len(u), *event_shape).requires_grad_()
            (found,) = torch.autograd.grad(self(x), x, u)
        return found


class Differentiable(Operator):
    """Any differentiable function of states `(B, *event)`, row by row.

    Raises `InputError` where it does not return a tensor with a row for each state.

    >>> Differentiable(lambda x: x.square().sum(1, keepdim=True))(torch.ones(2, 3))
    tensor([[3.],
            [3.]])
    """

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        if not callable(function):
            raise InputError(f"an operator is a function of states, not {function!r}")
        self.function = function

    def observed_shape(self, event_shape: Shape) -> Shape:
        """Found by a call with two states of zeros."""
        return tuple(self(torch.zeros(2, *event_shape)).shape[1:])

    def __call__(self, x: Tensor) -> Tensor:
        """What the function returns."""
        found = self.function(x)
        if not isinstance(found, Tensor) or found.ndim < 2 or len(found) != len(x):
            what = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise InputError(
                f"an operator returns a tensor ({len(x)}, *observed) for {len(x)} states, with at "
                f"least one number for each, not {what}"
            )
        return found
