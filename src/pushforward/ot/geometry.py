"""Geometries: the costs of all pairs of an optimal transport problem, as points or as a matrix."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from pushforward.checks import whole
from pushforward.errors import InputError
from pushforward.ot import checks
from pushforward.ot.costs import Cost, CostLike, SquaredEuclidean, resolve
from pushforward.ot.kernels import Dense, GibbsKernel, Streamed

if TYPE_CHECKING:
    from pushforward.ot.plan import Plan

__all__ = ["Cloud", "CostMatrix", "Geometry", "Kept", "PointClouds", "Sums", "alive", "picked"]

_CACHED = 1 << 18  # entries of a block that stays in the cache of a core
_LAUNCHED = 1 << 26  # entries of a block that keeps an accelerator busy
_MADE = 1 << 22  # entries of costs that are made at a time, if all are kept
_KEPT_DIMENSION = 32  # from which making squared distances again costs more than reading them
_LARGEST = 1 << 27  # entries of a kernel that is kept: half a gigabyte in single precision


class Sums(NamedTuple):
    """What all entries of a plan add up to: its rows `(n,)`, its columns `(m,)`, and its cost."""

    left: Tensor
    right: Tensor
    cost: float


class Geometry(ABC):
    """Costs of `n` times `m` pairs, given by blocks of rows; with the kernels they make.

    Args:
        shape: `(n, m)`.
        like: a tensor of the precision and the device in which plans are found.
    """

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
        """Those of the plan `a_i b_j exp((f_i + g_j - c_ij) / epsilon)`, in double precision."""
        wide = checks.wide(f)
        left, right = a.new_empty(len(a), dtype=wide), b.new_zeros(len(b), dtype=wide)
        row, column = alive(f, a), alive(g, b)
        entropic = 0.0
        for rows in self.blocks():
            logs = self.exponents(rows, row, column, epsilon)
            block = logs.exp().mul_(a[rows, None]).mul_(b)
            doubled = block.to(wide)
            left[rows] = doubled.sum(1)
            right += doubled.sum(0)
            # Where nothing goes the logarithm is minus infinity.
            logs.clamp_(min=torch.finfo(f.dtype).min)
            entropic += float(logs.mul_(block).sum(1).sum(dtype=wide))
        return Sums(left, right, _paid(left, f) + _paid(right, g) - epsilon * entropic)

    @property
    def reduced(self) -> Geometry:
        """Costs less what depends on one side alone, which is in `offsets`, if digits are gained.

        Both have the same plans where marginals bind; their potentials differ by the offsets.
        """
        return self

    @property
    def offsets(self) -> tuple[Tensor, Tensor]:
        """What has been taken from the costs of each row `(n,)` and of each column `(m,)`."""
        n, m = self.shape
        return self.like.new_zeros(n), self.like.new_zeros(m)

    @property
    def forbids(self) -> bool:
        """Whether some costs are infinite, or may be."""
        return False

    @property
    def working(self) -> Geometry:
        """The same costs in the form that an iteration reads often."""
        return self

    @property
    def kept(self) -> Geometry:
        """The same costs in the form that a plan keeps."""
        return self

    @abstractmethod
    def kernel(self, rows: Tensor | None, columns: Tensor | None) -> GibbsKernel:
        """The kernel between some rows and some columns; `None` for all."""

    def weights(self, w: Tensor | None, side: int, name: str, *, any_mass: bool) -> Tensor:
        """Weights of the rows (`side` 0) or the columns (1), `(n,)` or `(m,)`, checked."""
        return checks.weights(w, self.shape[side], self.like, name, any_mass=any_mass)

    @property
    def weight_axes(self) -> int:
        """The axes of weights: one, or those of a grid."""
        return 1

    def shaped(self, w: Tensor) -> Tensor:
        """Weights `(n,)` as they are given."""
        return w

    def surrogate(self, plan: Plan) -> Tensor:
        """A number whose gradient in what the costs were made of is that of `<c, P>`, `P` fixed."""
        return self.like.new_zeros(())

    def mean_cost(self, a: Tensor | None = None, b: Tensor | None = None) -> float:
        """The mean of `c` over independent pairs, the usual unit of `epsilon`.

        Over those pairs that are allowed, if some are forbidden.

        >>> PointClouds(torch.tensor([0.0, 2.0]), torch.tensor([0.0, 4.0])).mean_cost()
        6.0
        """
        left = self.weights(a, 0, "a", any_mass=False).detach()
        right = self.weights(b, 1, "b", any_mass=False).detach()
        if not self.forbids:
            return float(sum(left[rows] @ (self.costs(rows) @ right) for rows in self.blocks()))
        total = mass = 0.0
        for rows in self.blocks():
            costs = self.costs(rows)
            allowed = costs < torch.inf
            total += float(left[rows] @ (costs.where(allowed, 0.0) @ right))
            mass += float(left[rows] @ (allowed.to(right) @ right))
        if not mass > 0:
            raise InputError("every cost is infinite: no pair is allowed, and no cost has a mean")
        return total / mass


class CostMatrix(Geometry):
    """The costs themselves, a matrix.

    Args:
        matrix: `(n, m)`; infinity forbids a pair. The gradient of a plan's `regularized_cost` in it
            is the plan.

    Raises `InputError` for another shape, NaN or minus infinity.

    >>> CostMatrix(1 - torch.eye(2)).mean_cost()
    0.5
    """

    def __init__(self, matrix: Tensor) -> None:
        given = checks.numbers(matrix, "cost")
        if given.ndim != 2 or min(given.shape) < 1:
            raise InputError(f"cost has shape {tuple(given.shape)}; a matrix (n, m) is needed")
        if bool((given == -torch.inf).any()):
            raise InputError("cost holds minus infinity; plus infinity forbids a pair")
        super().__init__((given.shape[0], given.shape[1]), given.detach())
        self.given, self.matrix = given, given.detach()
        self._forbids = bool((self.matrix == torch.inf).any())

    @property
    def forbids(self) -> bool:
        """Whether some costs are infinite."""
        return self._forbids

    def costs(self, rows: slice) -> Tensor:
        """Some rows."""
        return self.matrix[rows]

    def kernel(self, rows: Tensor | None, columns: Tensor | None) -> GibbsKernel:
        """Kept as a matrix."""
        if rows is None and columns is None:
            return Dense(self)
        part = picked(self.matrix, rows)
        return Dense(_Entries(part if columns is None else part[:, columns]))

    def surrogate(self, plan: Plan) -> Tensor:
        """`<c, P>`."""
        if not self.given.requires_grad:
            return super().surrogate(plan)
        # Nothing goes between pairs that are forbidden.
        return (plan.matrix() * self.given.where(self.given < torch.inf, 0.0)).sum()


class _Entries(CostMatrix):
    """Part of a matrix that has been checked."""

    def __init__(self, matrix: Tensor) -> None:
        Geometry.__init__(self, (matrix.shape[0], matrix.shape[1]), matrix)
        self.given = self.matrix = matrix


class Cloud(Geometry):
    """Costs between two sets of points, `(n, d)` and `(m, d)`, made when asked for.

    `centers` are two points `(d,)` that `x` and `y` have been moved to zero from.
    """

    block_size: int | None = None

    def __init__(self, x: Tensor, y: Tensor, cost: Cost, centers: tuple[Tensor, Tensor]) -> None:
        super().__init__((len(x), len(y)), x)
        self.x, self.y, self.cost, self.centers = x, y, cost, centers

    @property
    def gap(self) -> Tensor:
        """How much farther `x` has been moved than `y`, `(d,)`."""
        return self.centers[0] - self.centers[1]

    @property
    def offsets(self) -> tuple[Tensor, Tensor]:
        """As the cost has them."""
        return self.cost.offsets(self.x, self.y, self.gap)

    @property
    def forbids(self) -> bool:
        """As the cost has it."""
        return self.cost.forbids

    def costs(self, rows: slice) -> Tensor:
        """Made anew, without the gradients that a function may have."""
        with torch.no_grad():
            return self.cost(self.x[rows], self.y)

    def exponents(self, rows: slice, f: Tensor, g: Tensor, epsilon: float) -> Tensor:
        """As the cost has them."""
        with torch.no_grad():
            return self.cost.exponents(self.x[rows], self.y, f[rows], g, epsilon)

    @property
    def working(self) -> Cloud:
        """With a matrix of the costs, if that saves time and there is room for it."""
        if self.streamed or (self.cost.cheap and self.x.shape[1] < _KEPT_DIMENSION):
            return self
        matrix = self.like.new_empty(self.shape)
        for rows in self.blocks(max(_MADE // self.shape[1], 1)):
            matrix[rows] = self.costs(rows)
        return Kept(self, matrix)

    @property
    def streamed(self) -> bool:
        """Whether a kernel of all pairs is made block by block."""
        return self.block_size is not None or math.prod(self.shape) > _LARGEST

    def kernel(self, rows: Tensor | None, columns: Tensor | None) -> GibbsKernel:
        """Kept as a matrix, or streamed."""
        part = self
        if rows is not None or columns is not None:
            part = Cloud(picked(self.x, rows), picked(self.y, columns), self.cost, self.centers)
        if self.streamed:
            return Streamed(part, self.block_size)
        return Dense(part if part is self else part.working)


class Kept(Cloud):
    """Costs between two sets of points that are kept as a matrix `(n, m)`, too."""

    def __init__(self, cloud: Cloud, matrix: Tensor) -> None:
        super().__init__(cloud.x, cloud.y, cloud.cost, cloud.centers)
        self.cloud, self.matrix = cloud, matrix

    @property
    def working(self) -> Kept:
        """Itself."""
        return self

    @property
    def kept(self) -> Geometry:
        """With the matrix, if it takes hardly more memory than the points; else without."""
        light = self.matrix.numel() <= 2 * (self.x.numel() + self.y.numel())
        return self if light else self.cloud

    def costs(self, rows: slice) -> Tensor:
        """Of the matrix."""
        return self.matrix[rows]

    def exponents(self, rows: slice, f: Tensor, g: Tensor, epsilon: float) -> Tensor:
        """Of the matrix."""
        return Geometry.exponents(self, rows, f, g, epsilon)


class PointClouds(Cloud):
    """Two sets of points with the costs between them.

    Args:
        x, y: states `(n, *event)` and `(m, *event)`, tensors, arrays or lists.
        cost: a `Cost`, or a function of `(n, d)` and `(m, d)`; squared distances by default.
            Infinity forbids a pair.
        block_size: rows of the kernel to make at a time, in memory `O(n)`; by default the kernel
            is kept if it has at most 2^27 entries.

    Raises `InputError` for events of two shapes, or numbers that are not finite.

    >>> PointClouds(torch.zeros(3, 2), torch.ones(4, 2)).costs(slice(0, 1))
    tensor([[2., 2., 2., 2.]])
    """

    def __init__(
        self, x: Tensor, y: Tensor, cost: CostLike | None = None, block_size: int | None = None
    ) -> None:
        self.given = checks.pair(x, y)
        ground = SquaredEuclidean() if cost is None else resolve(cost)
        if block_size is not None:
            self.block_size = whole("block_size", block_size)
        left, right = (points.detach() for points in self.given)
        self._means = ground.centers(left, right)
        # Squares of coordinates far from zero would drown their differences.
        center = self._means[1]
        super().__init__(left - center, right - center, ground, (center, center))

    @property
    def reduced(self) -> Cloud:
        """Each cloud about its own center."""
        left, right = self._means
        moved = Cloud(self.x - (left - right), self.y, self.cost, self._means)
        moved.block_size = self.block_size
        return moved

    def surrogate(self, plan: Plan) -> Tensor:
        """Block by block; of a function with parameters by way of its table."""
        left, right = self.given
        if self.cost.learns(self.x, self.y):
            x, y = left - self.centers[0], right - self.centers[1]
            parts = [self.cost.total(x[rows], y, block) for rows, block in plan.blocks()]
            return torch.stack(parts).sum()
        if not (left.requires_grad or right.requires_grad):
            return super().surrogate(plan)
        to_x, to_y = torch.zeros_like(self.x), torch.zeros_like(self.y)
        for rows, block in plan.blocks(self.block_size):
            one, other = self.cost.gradients(self.x[rows], self.y, block)
            to_x[rows] = one
            to_y += other
        return (to_x * left).sum() + (to_y * right).sum()


def alive(potential: Tensor, weights: Tensor) -> Tensor:
    """A potential, minus infinity where no mass can be.

    That of a point without mass says what a first bit of it would cost. Two such points could have
    a large entry between them, times nothing; and where no pair is allowed it is infinite.
    """
    return potential.masked_fill((weights == 0) | (potential == torch.inf), -torch.inf)


def _paid(marginal: Tensor, potential: Tensor) -> float:
    """What a marginal pays by a potential, which may be infinite where there is nothing."""
    return float((marginal * potential.where(potential < torch.inf, 0.0)).sum())


def picked(values: Tensor, index: Tensor | None) -> Tensor:
    """Some rows, or all without an index."""
    return values if index is None else values[index]
