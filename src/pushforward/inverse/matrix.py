"""A matrix as a measurement operator."""

from __future__ import annotations

import functools
import math

from torch import Tensor

from pushforward._shapes import flatten
from pushforward.errors import InputError
from pushforward.inverse.operator import LinearOperator, Shape

__all__ = ["Matrix"]


class Matrix(LinearOperator):
    """`A x` for a matrix `(m, d)`; states of other shapes are read as vectors of `d` numbers.

    >>> import torch
    >>> operator = Matrix(torch.tensor([[1.0, 1.0]]))
    >>> operator(torch.tensor([[1.0, 2.0]])), operator.adjoint(torch.tensor([[3.0]]), (2,))
    (tensor([[3.]]), tensor([[3., 3.]]))
    """

    def __init__(self, matrix: Tensor) -> None:
        if not isinstance(matrix, Tensor) or matrix.ndim != 2 or 0 in matrix.shape:
            raise InputError(f"the matrix of an operator has shape (m, d), not {matrix!r}")
        if not matrix.is_floating_point() or not bool(matrix.isfinite().all()):
            raise InputError("the matrix of an operator holds finite real numbers")
        self.matrix = matrix

    @functools.cached_property
    def disjoint_rows(self) -> bool:
        """Whether no column has two numbers that are not zero."""
        return bool(((self.matrix != 0).sum(0) <= 1).all())

    def observed_shape(self, event_shape: Shape) -> Shape:
        """`(m,)`."""
        rows, columns = self.matrix.shape
        if math.prod(event_shape) != columns:
            raise InputError(
                f"a matrix of {columns} columns measures states of {columns} numbers, not of shape "
                f"{event_shape}"
            )
        return (rows,)

    def __call__(self, x: Tensor) -> Tensor:
        """`A x` of each row."""
        self.observed_shape(tuple(x.shape[1:]))
        return flatten(x) @ self.matrix.to(x).mT

    def adjoint(self, u: Tensor, event_shape: Shape) -> Tensor:
        """`A^T u` of each row."""
        return (u @ self.matrix.to(u)).reshape(len(u), *event_shape)
