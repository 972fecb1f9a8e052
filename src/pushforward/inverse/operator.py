"""Measurement operators: what a state would give without noise."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from pushforward._shapes import flatten
from pushforward.errors import CapabilityError, InputError
from pushforward.inverse.svd import SVD

__all__ = ["Differentiable", "LinearOperator", "Operator", "Shape"]

Shape = tuple[int, ...]

_MOST_NUMBERS = 1 << 22
"""Of a matrix that is decomposed on the way: some seconds of work."""


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

    def shape_for(self, x: Tensor) -> Shape:
        """The shape of one measurement of states like these, `(B, *event)`."""
        return self.observed_shape(tuple(x.shape[1:]))


class LinearOperator(Operator):
    """`A x`, with its transpose."""

    @property
    def disjoint_rows(self) -> bool:
        """Whether each number of the state goes into one measurement at most: then `A D A^T` is
        diagonal for every diagonal `D`."""
        return False

    def adjoint(self, u: Tensor, event_shape: Shape) -> Tensor:
        """`A^T u` for `(B, *observed)`, so that `<A x, u> = <x, A^T u>`.

        By automatic differentiation, unless a class knows better.
        """
        with torch.enable_grad():
            x = u.new_zeros(len(u), *event_shape).requires_grad_()
            (found,) = torch.autograd.grad(self(x), x, u)
        return found

    def dense(self, event_shape: Shape, dtype: torch.dtype | None = None) -> Tensor:
        """`A` as a matrix `(m, d)`, for states and measurements read as vectors."""
        numbers = math.prod(event_shape)
        basis = torch.eye(numbers, dtype=dtype).reshape(numbers, *event_shape)
        return flatten(self(basis)).mT.contiguous()

    def svd(self, event_shape: Shape) -> SVD:
        """The singular value decomposition, in closed form where a class has one.

        Else of the matrix, if it is small. Raises `CapabilityError` if it is not.
        """
        observed = self.observed_shape(event_shape)
        rows, numbers = math.prod(observed), math.prod(event_shape)
        if rows * numbers > _MOST_NUMBERS:
            raise CapabilityError(
                f"{type(self).__name__} has no singular values in closed form, and its matrix of "
                f"{rows} x {numbers} numbers is too large to decompose: mmps, dps and daps need "
                "none"
            )
        return SVD.of_matrix(self.dense(event_shape, torch.float64), event_shape, observed)

    def pseudo_inverse(self, y: Tensor, event_shape: Shape) -> Tensor:
        """`A^+ y`, `(B, *event)`: of the states that fit the measurements best, the smallest.

        Raises `CapabilityError` as `svd` does.
        """
        return self.svd(event_shape).pseudo_inverse(y)


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
        """Found by a call with two states of ones in the default precision, on the CPU."""
        return self.shape_for(torch.ones(2, *event_shape))

    def shape_for(self, x: Tensor) -> Shape:
        """Found by a call with these."""
        with torch.no_grad():
            return tuple(self(x).shape[1:])

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
