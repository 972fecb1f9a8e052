"""The support as a union of balls around points: the estimate without a model."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.checks import number, whole
from pushforward.errors import InputError
from pushforward.metrics._points import nearest, points
from pushforward.support.support import Support

__all__ = ["NeighborBalls"]

_PART = 2048


class NeighborBalls(Support):
    """Balls around points, each reaching to its `k`-th nearest neighbor, or all of one radius.

    Of one radius that shrinks with the number of points it is the estimate of Devroye & Wise 1980;
    balls that reach to a neighbor are wider where points are rare, as in `metrics.precision`.

    Args:
        centers: points `(n, *event)`, more than `k`.
        k: which neighbor the balls reach to.
        radius: one for all balls, in the place of neighbors; 0 leaves the points themselves.

    Raises `InputError` for too few points, NaN or infinity.

    >>> line = torch.arange(5.0)[:, None]
    >>> NeighborBalls(line, k=1).distance(torch.tensor([[6.0], [2.5]]))
    tensor([1., 0.])
    """

    def __init__(self, centers: Tensor, k: int = 3, radius: float | None = None) -> None:
        found = points(centers, "centers", whole("k", k) + 1)
        self.centers, self._shape = found, centers.shape[1:]
        if radius is None:
            self.radii = nearest(found, found, k, same=True)
        else:
            self.radii = found.new_full((len(found),), number("radius", radius, least=0.0))

    def project(self, x: Tensor) -> Tensor:
        """The nearest point of a ball; points inside of one stay where they are."""
        if x.shape[1:] != self._shape:
            raise InputError(
                f"points have shape {tuple(self._shape)} as the centers, not {tuple(x.shape[1:])}"
            )
        parts = [self._project(part) for part in points(x, "x", 0).split(_PART)]
        return torch.cat(parts).reshape(x.shape).to(x)

    def _project(self, x: Tensor) -> Tensor:
        middle = self.centers.mean(0)
        far = torch.cdist(x - middle, self.centers - middle) - self.radii
        index = far.argmin(1)
        about = x - self.centers[index]
        length = about.norm(dim=1, keepdim=True)
        radius = self.radii[index, None]
        shrunk = about * (radius / length.clamp(min=1e-300)).clamp(max=1.0)
        return self.centers[index] + torch.where(length > radius, shrunk, about)
