"""Operators that act on each axis of a picture by a matrix."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from pushforward._shapes import flatten
from pushforward.errors import InputError
from pushforward.inverse.operator import LinearOperator, Shape
from pushforward.inverse.svd import SVD, decomposed

__all__ = ["Boundary", "SeparableOperator", "axes_of", "outside"]

Boundary = str
"""`zeros`, `reflect`, `replicate` or `circular`, as in `torch.nn.Conv2d`."""

BOUNDARIES = ("zeros", "reflect", "replicate", "circular")


class SeparableOperator(LinearOperator):
    r"""`y = R x C^T` for pictures `(C, H, W)`, and `y = C x` for signals `(n,)`.

    The rows and the columns of the picture are mixed by a matrix each, so that the singular value
    decomposition is the Kronecker product of two small ones. A subclass says which matrices.
    """

    @abstractmethod
    def along(self, size: int, axis: int) -> Tensor:
        """The matrix `(measured, size)` of an axis, in double precision: 0 for the rows of a
        picture, 1 for its columns and for a signal."""

    def observed_shape(self, event_shape: Shape) -> Shape:
        """With the sizes of the axes that are mixed exchanged."""
        axes = axes_of(event_shape)
        sizes = [len(self.along(size, axis)) for size, axis in axes]
        return (*event_shape[: -len(axes)], *sizes)

    def __call__(self, x: Tensor) -> Tensor:
        """The axes of each row mixed."""
        return self._mixed(x, tuple(x.shape[1:]), transposed=False)

    def adjoint(self, u: Tensor, event_shape: Shape) -> Tensor:
        """`R^T u C`."""
        return self._mixed(u, event_shape, transposed=True)

    def _mixed(self, x: Tensor, event_shape: Shape, *, transposed: bool) -> Tensor:
        matrices = [self.along(size, axis) for size, axis in axes_of(event_shape)]
        return _mix(x, [m.mT if transposed else m for m in matrices])

    def svd(self, event_shape: Shape) -> SVD:
        """The Kronecker product of those of the axes, the same for all channels."""
        parts = [decomposed(self.along(size, axis)) for size, axis in axes_of(event_shape)]
        channels = event_shape[: -len(parts)]
        ranks = tuple(len(s) for _, s, _ in parts)
        values = parts[0][1]
        for _, s, _ in parts[1:]:
            values = values[:, None] * s
        left, right = [u for u, _, _ in parts], [vh for _, _, vh in parts]

        def back(a: Tensor, matrices: list[Tensor]) -> Tensor:
            return _mix(a.reshape(len(a), *channels, *ranks), matrices)

        return SVD(
            values=values.expand(*channels, *ranks).flatten(),
            left=lambda y: flatten(_mix(y, [u.mT for u in left])),
            from_left=lambda a: back(a, left),
            right=lambda x: flatten(_mix(x, right)),
            from_right=lambda a: back(a, [vh.mT for vh in right]),
        )


def axes_of(event_shape: Shape) -> list[tuple[int, int]]:
    """The size and the number of each axis that is mixed: two of a picture, one of a signal."""
    if not event_shape:
        raise InputError("a picture has shape (C, H, W) and a signal (n,): these states have none")
    return [
        (size, axis) for axis, size in enumerate(event_shape[-2:], start=2 - len(event_shape[-2:]))
    ]


def _mix(x: Tensor, matrices: list[Tensor]) -> Tensor:
    """Matrices on the last axes of a batch, one each."""
    x = x @ matrices[-1].to(x).mT
    return matrices[0].to(x) @ x if len(matrices) == 2 else x


def outside(places: Tensor, size: int, boundary: Boundary) -> tuple[Tensor, Tensor]:
    """Where places beyond the ends of an axis are read instead, and whether they count.

    >>> outside(torch.tensor([-2, -1, 0, 3]), 3, "reflect")[0]
    tensor([2, 1, 0, 1])
    """
    if boundary not in BOUNDARIES:
        raise InputError(f"the boundary is one of {', '.join(BOUNDARIES)}, not {boundary!r}")
    within = (places >= 0) & (places < size)
    if boundary == "circular":
        return places % size, torch.ones_like(within)
    if boundary == "reflect" and size > 1:
        period = 2 * (size - 1)
        folded = places % period
        return torch.where(folded < size, folded, period - folded), torch.ones_like(within)
    return places.clamp(0, size - 1), within if boundary == "zeros" else torch.ones_like(within)


def filter_matrix(taps: Tensor, starts: Tensor, size: int, boundary: Boundary) -> Tensor:
    """The matrix `(len(starts), size)` whose row `i` has the taps from place `starts[i]` on."""
    places = starts[:, None] + torch.arange(len(taps))
    found, counts = outside(places, size, boundary)
    weights = taps.double().expand(len(starts), -1) * counts
    return torch.zeros(len(starts), size, dtype=torch.float64).scatter_add_(1, found, weights)
