"""Cells that cover a surface, for sums over it: maps of a density, and its integral."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["SurfaceCells", "globe_cells", "square_cells"]


@dataclass(frozen=True)
class SurfaceCells:
    """The middles of cells in rows and columns, and how large they are.

    Args:
        states: the middles as states, `(rows * columns, ...)`, row by row, in double precision.
        areas: of the cells, `(rows * columns,)`, in the unit of log-densities.
        shape: rows and columns.
        whole: whether they cover the space, so that a density adds up to one.
    """

    states: Tensor
    areas: Tensor
    shape: tuple[int, int]
    whole: bool


def globe_cells(rows: int) -> SurfaceCells:
    """The unit sphere between parallels and meridians of equal steps, twice as many columns as
    rows; areas are exact.

    >>> bool((globe_cells(10).areas.sum() - 4 * math.pi).abs() < 1e-9)
    True
    """
    up = torch.linspace(-math.pi / 2, math.pi / 2, rows + 1, dtype=torch.float64)
    across = torch.linspace(-math.pi, math.pi, 2 * rows + 1, dtype=torch.float64)
    b, a = torch.meshgrid((up[1:] + up[:-1]) / 2, (across[1:] + across[:-1]) / 2, indexing="ij")
    x = torch.stack([b.cos() * a.cos(), b.cos() * a.sin(), b.sin()], -1).reshape(-1, 3)
    areas = (across[1:] - across[:-1]) * (up[1:].sin() - up[:-1].sin())[:, None]
    return SurfaceCells(x, areas.flatten(), (rows, 2 * rows), True)


def square_cells(low: Tensor, high: Tensor, rows: int, *, whole: bool) -> SurfaceCells:
    """Equal cells between two corners of a plane, `(2,)`.

    >>> square_cells(torch.zeros(2), torch.ones(2), 2, whole=True).states[1].tolist()
    [0.75, 0.25]
    """
    step = (high - low).double() / rows
    middles = low.double() + step * (torch.arange(rows, dtype=torch.float64)[:, None] + 0.5)
    y, x = torch.meshgrid(middles[:, 1], middles[:, 0], indexing="ij")
    areas = step.prod().expand(rows * rows)
    return SurfaceCells(torch.stack([x, y], -1).reshape(-1, 2), areas, (rows, rows), whole)
