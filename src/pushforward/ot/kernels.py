r"""Gibbs kernels `K_ij = exp((f_i + g_j - c_ij) / epsilon)` and their products with vectors.

Potentials `f`, `g` are absorbed into the kernel from time to time, so that its entries stay
representable at any `epsilon` (Schmitzer 2019); between two absorptions an iteration is two
matrix-vector products, done block by block so that each entry is read once from memory. A
streamed kernel holds no matrix: it makes each block again when it needs it, in memory `O(n)`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import threshold

if TYPE_CHECKING:
    from pushforward.ot.geometry import Geometry

__all__ = ["Dense", "GibbsKernel", "Streamed"]

Through = Callable[[Tensor, slice], Tensor]


class GibbsKernel(ABC):
    """The products that scaling iterations ask of a kernel."""

    shape: tuple[int, int]
    like: Tensor

    @abstractmethod
    def absorb(self, f: Tensor, g: Tensor, epsilon: float) -> Tensor:
        """Take potentials in; returns `f`, lowered or raised so that no row over- or underflows."""

    @abstractmethod
    def sweep(self, w: Tensor, through: Through) -> tuple[Tensor, Tensor]:
        """`y = K w` and `K' through(y, rows)`, shapes `(n,)` and `(m,)`: forth and back.

        Several vectors `(m, k)` at once give `(n, k)` and `(m, k)`.
        """

    @abstractmethod
    def gram(self, w: Tensor) -> Tensor:
        """`K' diag(w) K`, `(m, m)`, for weights `(n,)` of any sign."""

    @abstractmethod
    def column_softmin(self, f: Tensor, epsilon: float) -> Tensor:
        """`-epsilon log sum_i exp((f_i - c_ij) / epsilon)`, in the log domain, `(m,)`."""


class _Rowwise(GibbsKernel):
    """A kernel of a geometry, by blocks of rows."""

    def __init__(self, geometry: Geometry, block_size: int | None = None) -> None:
        self.geometry, self.shape, self.like = geometry, geometry.shape, geometry.like
        self.slices = list(geometry.blocks(block_size))
        self.lowest = math.log(torch.finfo(geometry.like.dtype).tiny)

    @abstractmethod
    def block(self, rows: slice) -> Tensor:
        """The entries of some rows."""

    def sweep(self, w: Tensor, through: Through) -> tuple[Tensor, Tensor]:
        y, out = self.like.new_empty(self.shape[0], *w.shape[1:]), torch.zeros_like(w)
        add = out.addmv_ if w.ndim == 1 else out.addmm_
        for rows in self.slices:
            block = self.block(rows)
            y[rows] = part = block @ w
            add(block.mT, through(part, rows))
        return y, out

    def gram(self, w: Tensor) -> Tensor:
        out = self.like.new_zeros(self.shape[1], self.shape[1])
        for rows in self.slices:
            block = self.block(rows)
            out.addmm_(block.mT, w[rows, None] * block)
        return out

    def normal(self, exponents: Tensor) -> Tensor:
        """Exponents with those left out, in place, whose exponential would be subnormal.

        Arithmetic on subnormal numbers is a hundred times as slow.
        """
        found: Tensor = threshold(exponents, self.lowest, -torch.inf, inplace=True)
        return found

    def column_softmin(self, f: Tensor, epsilon: float) -> Tensor:
        return self.geometry.column_softmin(f, epsilon)


class Dense(_Rowwise):
    """A kernel kept as a matrix."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__(geometry)
        self.matrix = geometry.like.new_empty(geometry.shape)

    def absorb(self, f: Tensor, g: Tensor, epsilon: float) -> Tensor:
        raised = torch.empty_like(f)
        for rows in self.slices:
            block = self.geometry.exponents(rows, f, g, epsilon)
            top = block.amax(1, keepdim=True)
            torch.exp(self.normal(block.sub_(top)), out=self.matrix[rows])
            raised[rows] = top[:, 0]
        return f - epsilon * raised

    def block(self, rows: slice) -> Tensor:
        return self.matrix[rows]


class Streamed(_Rowwise):
    """A kernel whose blocks are made when they are needed."""

    def absorb(self, f: Tensor, g: Tensor, epsilon: float) -> Tensor:
        self.g, self.epsilon = g, epsilon
        self.f = f.clone()
        for rows in self.slices:
            self.f[rows] -= epsilon * self.geometry.exponents(rows, f, g, epsilon).amax(1)
        return self.f

    def block(self, rows: slice) -> Tensor:
        exponents = self.geometry.exponents(rows, self.f, self.g, self.epsilon)
        return self.normal(exponents).exp_()
