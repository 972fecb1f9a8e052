"""A support: a set with a nearest point to every other one."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

__all__ = ["Support"]


class Support(ABC):
    """The set that a distribution fills, or an estimate of it."""

    @abstractmethod
    def project(self, x: Tensor) -> Tensor:
        """The nearest point of the support to each of `(n, *event)`; one of them where there are
        several."""

    def distance(self, x: Tensor) -> Tensor:
        """The distance of points `(n, *event)` to the support, `(n,)`: how anomalous they are."""
        return (x - self.project(x)).flatten(1).norm(dim=1)
