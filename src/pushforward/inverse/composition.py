"""One operator after another."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.inverse.operator import LinearOperator, Operator, Shape

__all__ = ["Composition", "LinearComposition", "compose"]


class Composition(Operator):
    """`A_2(A_1(x))`; `compose` makes the linear one where both are linear.

    Args:
        second: `A_2`, which sees the measurements of the first.
        first: `A_1`.
    """

    def __init__(self, second: Operator, first: Operator) -> None:
        self.second, self.first = second, first

    def observed_shape(self, event_shape: Shape) -> Shape:
        """What the second makes of the first."""
        return self.second.observed_shape(self.first.observed_shape(event_shape))

    def shape_for(self, x: Tensor) -> Shape:
        """What the second makes of what the first makes of these."""
        with torch.no_grad():
            return self.second.shape_for(self.first(x))

    def __call__(self, x: Tensor) -> Tensor:
        """One after the other."""
        return self.second(self.first(x))


class LinearComposition(LinearOperator):
    """`A_2 A_1 x`, with the transpose `A_1^T A_2^T`.

    >>> import torch
    >>> from pushforward.inverse import Downsample, Mask
    >>> both = LinearComposition(Mask(torch.tensor([True, False])), Downsample(2))
    >>> both(torch.tensor([[1.0, 3.0, 5.0, 7.0]])), both.disjoint_rows
    (tensor([[2.]]), True)
    """

    def __init__(self, second: LinearOperator, first: LinearOperator) -> None:
        if not isinstance(second, LinearOperator) or not isinstance(first, LinearOperator):
            raise InputError("a linear composition is one of linear operators: use compose")
        self.second, self.first = second, first

    @property
    def disjoint_rows(self) -> bool:
        """A number that goes into one measurement of the first at most, and so on."""
        return self.first.disjoint_rows and self.second.disjoint_rows

    def observed_shape(self, event_shape: Shape) -> Shape:
        """What the second makes of the first."""
        return self.second.observed_shape(self.first.observed_shape(event_shape))

    def __call__(self, x: Tensor) -> Tensor:
        """One after the other."""
        return self.second(self.first(x))

    def adjoint(self, u: Tensor, event_shape: Shape) -> Tensor:
        """Both transposes, in the other order."""
        between = self.first.observed_shape(event_shape)
        return self.first.adjoint(self.second.adjoint(u, between), event_shape)


def compose(second: Operator, first: Operator) -> Operator:
    """`A_2` after `A_1`: a blur, then fewer pixels; linear if both are.

    Raises `InputError` for what is no operator.

    >>> from pushforward.inverse import Blur, Downsample
    >>> compose(Downsample(2), Blur(1.0)).observed_shape((1, 8, 8))
    (1, 4, 4)
    """
    for operator in (second, first):
        if not isinstance(operator, Operator):
            raise InputError(f"an operator is one of pushforward.inverse, not {operator!r}")
    if isinstance(second, LinearOperator) and isinstance(first, LinearOperator):
        return LinearComposition(second, first)
    return Composition(second, first)
