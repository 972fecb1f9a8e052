"""In which affine subspace two sets of points lie, together and each by itself."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Spans", "spans"]

_FLAT = 1e-6
"""Of the largest spread, in standard deviations of all points: what is below is rounding of data in
single precision."""


class Spans(NamedTuple):
    """Two sets of points in coordinates of the subspace that they fill together.

    Args:
        x, y: points `(n, r)` and `(m, r)` with the distances that they had.
        ranks: how many of the `r` dimensions each of both fills.
        shared: the share of the points of `y` that lie in the subspace that `x` fills.
    """

    x: Tensor
    y: Tensor
    ranks: tuple[int, int]
    shared: float


def spans(x: Tensor, y: Tensor) -> Spans:
    """The subspace that points `(n, d)` and `(m, d)` fill together, and what each fills of it.

    Columns that are constant, or that others make by sums, take a dimension away. Where points are
    no more than dimensions, each set is said to fill all of them.

    >>> line = torch.arange(4.0, dtype=torch.float64)[:, None]
    >>> found = spans(torch.cat([line, 2 * line], 1), torch.cat([line + 1, 2 * line + 2], 1))
    >>> found.x.shape, found.ranks
    (torch.Size([4, 1]), (1, 1))
    """
    both = torch.cat([x, y])
    center, scale = both.mean(0), both.std(0)
    # What varies by rounding of its mean alone is constant.
    moving = scale > _FLAT * 1e-4 * center.abs()
    center, scale = center[moving], scale[moving]
    x, y = x[:, moving], y[:, moving]
    if not len(scale):
        return Spans(x, y, (0, 0), 1.0)
    basis = _basis((both[:, moving] - center) / scale)
    rank = basis.shape[1]
    if rank < len(scale):
        turned = torch.linalg.qr(scale[:, None] * basis)[0]
        x, y = (x - center) @ turned, (y - center) @ turned
    if min(len(x), len(y)) <= rank + 1:
        return Spans(x, y, (rank, rank), 1.0)
    unit = torch.cat([x, y]).std(0)
    own = [_basis((z - z.mean(0)) / unit) for z in (x, y)]
    off = (y - x.mean(0)) / unit
    off = off - off @ own[0] @ own[0].mT
    shared = float((off.norm(dim=1) <= _FLAT * rank).double().mean())
    return Spans(x, y, (own[0].shape[1], own[1].shape[1]), shared)


def _basis(points: Tensor) -> Tensor:
    """Orthonormal directions `(d, r)` in which centered points are spread, in units of 1."""
    values, axes = torch.linalg.eigh(points.mT @ points / len(points))
    return axes[:, values.clamp(min=0).sqrt() > _FLAT]
