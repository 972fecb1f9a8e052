r"""Gibbs kernels `K_ij = exp((f_i + g_j - c_ij) / epsilon)` and their products with vectors.

Potentials `f`, `g` are absorbed into the kernel from time to time, so that its entries stay
representable at any `epsilon` (Schmitzer 2019); between two absorptions an iteration is two
matrix-vector products, done block by block so that each entry is read once from memory. A
streamed kernel holds no table: it makes each block again when it needs it, in memory `O(n)`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import threshold

from pushforward.ot.costs import Cost

__all__ = ["Cloud", "Dense", "Kept", "Kernel", "Streamed", "Sums", "Table", "Tabled", "picked"]

_CACHED = 1 << 18  # entries of a block that stays in the cache of a core
_LAUNCHED = 1 << 26  # entries of a block that keeps an accelerator busy
_MADE = 1 << 22  # entries of costs that are made at a time, if all are kept
_KEPT_DIMENSION = 32  # from which making squared distances again costs more than reading them

Through = Callable[[Tensor, slice], Tensor]


class Sums(NamedTuple):
    """What all entries of a plan add up to: its rows `(n,)`, its columns `(m,)`, and its cost."""

    left: Tensor
    right: Tensor
    cost: float


class Table(ABC):
    """Costs of `n` times `m` pairs, given by blocks of rows."""

    def __init__(self, shape: tuple[int, int], like: Tensor) -> None:
        self.shape = shape
        self.like = like

    @abstractmethod
    def costs(self, rows: slice) -> Tensor:
        """The costs of some rows, `(rows, m)`; not to be written into."""

    def exponents(self, rows: slice, f: Tensor, g: Tensor, epsilon: float) -> Tensor:
        """`(f_i + g_j - c_ij) / epsilon` for some rows, with `f` of all rows; a new tensor."""
        table = self.costs(rows) - g
        return table.neg_().add_(f[rows, None]).div_(epsilon)

    def blocks(self, size: int | None = None) -> Iterator[slice]:
        """Consecutive rows, `size` at a time or as many as the device likes."""
        n, m = self.shape
        entries = _CACHED if self.like.device.type == "cpu" else _LAUNCHED
        size = max(entries // m, 1) if size is None else size
        return (slice(start, min(start + size, n)) for start in range(0, n, size))

    def row_softmin(self, g: Tensor, epsilon: float) -> Tensor:
        """`-epsilon log sum_j exp((g_j - c_ij) / epsilon)`, in the log domain, `(n,)`."""
        zero = self.like.new_zeros(self.shape[0])
        blocks = [self.exponents(rows, zero, g, epsilon).logsumexp(1) for rows in self.blocks()]
        return -epsilon * torch.cat(blocks)

    def column_softmin(self, f: Tensor, epsilon: float) -> Tensor:
        """`-epsilon log sum_i exp((f_i - c_ij) / epsilon)`, in the log domain, `(m,)`."""
        zero = self.like.new_zeros(self.shape[1])
        logs = torch.full_like(zero, -torch.inf)
        for rows in self.blocks():
            logs = torch.logaddexp(logs, self.exponents(rows, f, zero, epsilon).logsumexp(0))
        return -epsilon * logs

    def sums(self, f: Tensor, g: Tensor, a: Tensor, b: Tensor, epsilon: float) -> Sums:
        """Those of the plan `a_i b_j exp((f_i + g_j - c_ij) / epsilon)`."""
        left, right, entropic = torch.empty_like(a), torch.zeros_like(b), 0.0
        for rows in self.blocks():
            logs = self.exponents(rows, f, g, epsilon)
            block = logs.exp().mul_(a[rows, None]).mul_(b)
            left[rows] = block.sum(1)
            right += block.sum(0)
            entropic += float(block.mul_(logs).sum())
        return Sums(left, right, float(left @ f + right @ g) - epsilon * entropic)


class Tabled(Table):
    """Costs kept as a matrix `(n, m)`."""

    def __init__(self, matrix: Tensor) -> None:
        super().__init__((matrix.shape[0], matrix.shape[1]), matrix)
        self.matrix = matrix

    def costs(self, rows: slice) -> Tensor:
        return self.matrix[rows]


class Cloud(Table):
    """Costs between two sets of points, `(n, d)` and `(m, d)`, made when asked for."""

    def __init__(self, x: Tensor, y: Tensor, cost: Cost) -> None:
        super().__init__((len(x), len(y)), x)
        self.x, self.y, self.cost = x, y, cost

    def costs(self, rows: slice) -> Tensor:
        return self.cost(self.x[rows], self.y)

    def exponents(self, rows: slice, f: Tensor, g: Tensor, epsilon: float) -> Tensor:
        return self.cost.exponents(self.x[rows], self.y, f[rows], g, epsilon)

    def tabled(self) -> Cloud:
        """The same costs, kept if that saves time."""
        if self.cost.cheap and self.x.shape[1] < _KEPT_DIMENSION:
            return self
        matrix = self.like.new_empty(self.shape)
        for rows in self.blocks(max(_MADE // self.shape[1], 1)):
            matrix[rows] = self.costs(rows)
        return Kept(self, matrix)


class Kept(Cloud):
    """Costs between two sets of points that are kept as a matrix `(n, m)`, too."""

    def __init__(self, cloud: Cloud, matrix: Tensor) -> None:
        super().__init__(cloud.x, cloud.y, cloud.cost)
        self.matrix = matrix

    @property
    def light(self) -> bool:
        """Whether the matrix takes hardly more memory than the points."""
        return self.matrix.numel() <= 2 * (self.x.numel() + self.y.numel())

    def costs(self, rows: slice) -> Tensor:
        return self.matrix[rows]

    def exponents(self, rows: slice, f: Tensor, g: Tensor, epsilon: float) -> Tensor:
        return Table.exponents(self, rows, f, g, epsilon)


class Kernel(ABC):
    """The products that scaling iterations ask of a kernel."""

    shape: tuple[int, int]
    like: Tensor

    @abstractmethod
    def absorb(self, f: Tensor, g: Tensor, epsilon: float) -> Tensor:
        """Take potentials in; returns `f`, lowered or raised so that no row over- or underflows."""

    @abstractmethod
    def sweep(self, w: Tensor, through: Through) -> tuple[Tensor, Tensor]:
        """`y = K w` and `K' through(y, rows)`, shapes `(n,)` and `(m,)`: forth and back."""

    @abstractmethod
    def column_softmin(self, f: Tensor, epsilon: float) -> Tensor:
        """`-epsilon log sum_i exp((f_i - c_ij) / epsilon)`, in the log domain, `(m,)`."""


class _Rowwise(Kernel):
    """A kernel of a table of costs, by blocks of rows."""

    def __init__(self, table: Table, block_size: int | None = None) -> None:
        self.table, self.shape, self.like = table, table.shape, table.like
        self.slices = list(table.blocks(block_size))
        self.lowest = math.log(torch.finfo(table.like.dtype).tiny)

    def normal(self, exponents: Tensor) -> Tensor:
        """Exponents with those left out, in place, whose exponential would be subnormal.

        Arithmetic on subnormal numbers is a hundred times as slow.
        """
        found: Tensor = threshold(exponents, self.lowest, -torch.inf, inplace=True)
        return found

    def column_softmin(self, f: Tensor, epsilon: float) -> Tensor:
        return self.table.column_softmin(f, epsilon)


class Dense(_Rowwise):
    """A kernel kept as a matrix."""

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        self.matrix = table.like.new_empty(table.shape)

    def absorb(self, f: Tensor, g: Tensor, epsilon: float) -> Tensor:
        raised = torch.empty_like(f)
        for rows in self.slices:
            block = self.table.exponents(rows, f, g, epsilon)
            top = block.amax(1, keepdim=True)
            torch.exp(self.normal(block.sub_(top)), out=self.matrix[rows])
            raised[rows] = top[:, 0]
        return f - epsilon * raised

    def sweep(self, w: Tensor, through: Through) -> tuple[Tensor, Tensor]:
        y, out = self.like.new_empty(self.shape[0]), torch.zeros_like(w)
        for rows in self.slices:
            block = self.matrix[rows]
            y[rows] = part = block @ w
            out.addmv_(block.mT, through(part, rows))
        return y, out


class Streamed(_Rowwise):
    """A kernel whose blocks are made when they are needed."""

    def absorb(self, f: Tensor, g: Tensor, epsilon: float) -> Tensor:
        self.g, self.epsilon = g, epsilon
        self.f = f.clone()
        for rows in self.slices:
            self.f[rows] -= epsilon * self.table.exponents(rows, f, g, epsilon).amax(1)
        return self.f

    def sweep(self, w: Tensor, through: Through) -> tuple[Tensor, Tensor]:
        y, out = self.like.new_empty(self.shape[0]), torch.zeros_like(w)
        for rows in self.slices:
            block = self.table.exponents(rows, self.f, self.g, self.epsilon)
            self.normal(block).exp_()
            y[rows] = part = block @ w
            out.addmv_(block.mT, through(part, rows))
        return y, out


def picked(values: Tensor, index: Tensor | None) -> Tensor:
    """Some rows, or all without an index."""
    return values if index is None else values[index]
