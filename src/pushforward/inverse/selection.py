"""Measurements that are some of the numbers of a state."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor

from pushforward._shapes import flatten
from pushforward.inverse.operator import LinearOperator, Shape
from pushforward.inverse.svd import SVD

__all__ = ["Selection"]


class Selection(LinearOperator):
    """Some of the numbers of a state, as they are. A subclass says which."""

    @abstractmethod
    def places(self, event_shape: Shape) -> Tensor:
        """Where the numbers are in the flat state, integers `(*observed)`, none twice."""

    @property
    def disjoint_rows(self) -> bool:
        """Each number is measured once or not at all."""
        return True

    def observed_shape(self, event_shape: Shape) -> Shape:
        """That of the numbers that are kept."""
        return tuple(self.places(event_shape).shape)

    def __call__(self, x: Tensor) -> Tensor:
        """The numbers of each row."""
        return flatten(x)[:, self.places(tuple(x.shape[1:])).to(x.device)]

    def adjoint(self, u: Tensor, event_shape: Shape) -> Tensor:
        """The numbers at their places, and zeros elsewhere."""
        out = u.new_zeros(len(u), math.prod(event_shape))
        out[:, self.places(event_shape).to(u.device)] = u
        return out.reshape(len(u), *event_shape)

    def svd(self, event_shape: Shape) -> SVD:
        """All singular values are one."""
        shape = self.observed_shape(event_shape)
        return SVD(
            values=torch.ones(math.prod(shape)),
            left=flatten,
            from_left=lambda a: a.reshape(len(a), *shape),
            right=lambda x: flatten(self(x)),
            from_right=lambda a: self.adjoint(a.reshape(len(a), *shape), event_shape),
        )
