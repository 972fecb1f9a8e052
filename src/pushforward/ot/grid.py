r"""Costs and kernels of grids, which work along one axis after another.

A cost that is a sum over the axes has a kernel that is a product, `exp(-c / epsilon) = prod_k
exp(-c_k / epsilon)`, so that a product with it costs `N (n_1 + n_2 + ...)` operations for the
`N = n_1 n_2 ...` cells and not `N^2` (Solomon et al. 2015).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.ot import checks
from pushforward.ot.costs import CostLike, SquaredEuclidean, resolve
from pushforward.ot.geometry import Geometry, Sums, picked
from pushforward.ot.kernels import GibbsKernel, Through

__all__ = ["CartesianGrid", "Separable"]

_MARGIN = 27.0
"""Logarithms that are left below the largest cost before numbers get too small for a type."""

_BLOCK = 1 << 22
"""Entries that a step in the log domain makes at a time."""


class CartesianGrid(Geometry):
    """The cells of one grid, whose costs add up over its axes: no matrix is made of them.

    A sweep over `N = n_1 n_2 ...` cells takes `N (n_1 + n_2 + ...)` operations. Weights have the
    shape of the grid; potentials and entries of a plan number the cells with the last axis running
    fastest, as `flatten` does.

    Args:
        axes: the coordinates `(n_k,)` along each axis, in whose precision plans are found.
        cost: of one axis, a `Cost` or a function of `(n_k, 1)` and `(n_k, 1)`; squares by default,
            which add up to squared distances.

    Raises `InputError` for what is no grid.

    >>> line = torch.linspace(0, 1, 20)
    >>> CartesianGrid([line, line]).shape
    (400, 400)
    """

    def __init__(self, axes: Sequence[Tensor], cost: CostLike | None = None) -> None:
        if not isinstance(axes, Sequence) or isinstance(axes, str):
            raise InputError(f"axes holds one tensor (n_k,) for each axis of a grid, not {axes!r}")
        lines = [checks.points(line, f"axes[{k}]") for k, line in enumerate(axes)]
        if not lines or any(line.shape[1] != 1 for line in lines):
            raise InputError("axes holds one tensor (n_k,) of coordinates for each axis of a grid")
        ground = SquaredEuclidean() if cost is None else resolve(cost)
        lines = [line.detach().to(lines[0]) for line in lines]
        lines = [line - ground.centers(line, line)[0] for line in lines]
        self.axes = tuple(checks.finite(ground(line, line), "cost") for line in lines)
        if any(costs.requires_grad for costs in self.axes):
            raise InputError("a grid gives no gradients in its costs: detach the cost's parameters")
        self.sizes = tuple(len(line) for line in lines)
        cells = math.prod(self.sizes)
        super().__init__((cells, cells), self.axes[0])

    def kernel(self, rows: Tensor | None, columns: Tensor | None) -> GibbsKernel:
        """Axis by axis."""
        return Separable(self, rows, columns)

    @property
    def weight_axes(self) -> int:
        """Those of the grid."""
        return len(self.sizes)

    def shaped(self, w: Tensor) -> Tensor:
        """In the shape of the grid."""
        return w.reshape(self.sizes)

    def weights(self, w: Tensor | None, side: int, name: str, *, any_mass: bool) -> Tensor:
        """Those of the cells, `(N,)`, from the shape of the grid."""
        if w is None:
            return super().weights(None, side, name, any_mass=any_mass)
        cells = checks.finite(w, name)
        if tuple(cells.shape) != self.sizes:
            raise InputError(f"{name} has shape {tuple(cells.shape)}; the grid has {self.sizes}")
        return super().weights(cells.flatten(), side, name, any_mass=any_mass)

    def costs(self, rows: slice) -> Tensor:
        """The costs of some rows, made anew."""
        cells = torch.arange(self.shape[0], device=self.like.device)[rows]
        total = self.like.new_zeros(len(cells), *self.sizes)
        for k, place in enumerate(torch.unravel_index(cells, self.sizes)):
            one = [1] * len(self.sizes)
            one[k] = self.sizes[k]
            total += self.axes[k][place].reshape(len(cells), *one)
        return total.flatten(1)

    def smooth(
        self, logs: Tensor, epsilon: float, *, back: bool = False, moment: int | None = None
    ) -> Tensor:
        """`log sum_j exp(logs_j - c_ij / epsilon)` for every cell `i`, or the sum over `i`.

        Args:
            logs: `(N,)`, minus infinity where there is nothing.
            epsilon: the strength of the entropy.
            back: sum over the first index.
            moment: an axis by whose costs, above their least, the terms are multiplied.
        """
        found = logs.reshape(self.sizes)
        for k, costs in enumerate(self.axes):
            along = found.movedim(k, -1)
            table = costs.mT if back else costs
            factors = table - table.min() if k == moment else None
            smoothed = _smooth_axis(along.reshape(-1, len(costs)), table / epsilon, factors)
            found = smoothed.reshape(along.shape).movedim(-1, k)
        return found.flatten()

    def row_softmin(self, g: Tensor, epsilon: float) -> Tensor:
        """Axis by axis."""
        return -epsilon * self.smooth(g / epsilon, epsilon)

    def column_softmin(self, f: Tensor, epsilon: float) -> Tensor:
        """Axis by axis."""
        return -epsilon * self.smooth(f / epsilon, epsilon, back=True)

    def sums(self, f: Tensor, g: Tensor, a: Tensor, b: Tensor, epsilon: float) -> Sums:
        """Axis by axis."""
        wide = checks.wide(f)
        grid = self if f.dtype == wide else self._widened(wide)
        f, g, a, b = (values.to(wide) for values in (f, g, a, b))
        row, column = f / epsilon + a.log(), g / epsilon + b.log()
        left = (row + grid.smooth(column, epsilon)).exp()
        right = (column + grid.smooth(row, epsilon, back=True)).exp()
        cost = 0.0
        for k, costs in enumerate(grid.axes):
            above = (row + grid.smooth(column, epsilon, moment=k)).exp()
            cost += float(above.sum() + costs.min() * left.sum())
        return Sums(left, right, cost)

    def _widened(self, dtype: torch.dtype) -> CartesianGrid:
        """The same costs in another precision."""
        grid = copy.copy(self)
        grid.axes = tuple(costs.to(dtype) for costs in self.axes)
        grid.like = grid.axes[0]
        return grid


class Separable(GibbsKernel):
    """The kernel of a grid between some of its cells.

    Args:
        grid: the costs.
        rows, columns: numbers of cells, `(n,)` and `(m,)`; `None` for all.
    """

    def __init__(self, grid: CartesianGrid, rows: Tensor | None, columns: Tensor | None) -> None:
        self.grid, self.rows, self.columns = grid, rows, columns
        n, m = grid.shape
        self.shape = (n if rows is None else len(rows), m if columns is None else len(columns))
        self.like = grid.like

    def absorb(self, f: Tensor, g: Tensor, epsilon: float) -> Tensor:
        """Every row sums to one."""
        self.g, self.epsilon = g, epsilon
        self.f = -epsilon * self._forth(g / epsilon, epsilon)
        return self.f

    def sweep(self, w: Tensor, through: Through) -> tuple[Tensor, Tensor]:
        """All rows at once."""
        if w.ndim == 2:
            return self._sweep_columns(w, through)
        epsilon = self.epsilon
        f, g = self.f / epsilon, self.g / epsilon
        y = _signed(w, lambda logs: (f + self._forth(g + logs, epsilon)).exp())
        u = through(y, slice(0, self.shape[0]))
        return y, _signed(u, lambda logs: (g + self._back(f + logs, epsilon)).exp())

    def _sweep_columns(self, w: Tensor, through: Through) -> tuple[Tensor, Tensor]:
        """Several vectors, one after the other."""
        forth = [self.sweep(one, lambda y, rows: y)[0] for one in w.unbind(1)]
        y = torch.stack(forth, 1)
        u = through(y, slice(0, self.shape[0]))
        f, g = self.f / self.epsilon, self.g / self.epsilon
        back = [
            _signed(one, lambda logs: (g + self._back(f + logs, self.epsilon)).exp())
            for one in u.unbind(1)
        ]
        return y, torch.stack(back, 1)

    def gram(self, w: Tensor) -> Tensor:
        """From a table of all entries."""
        costs = picked(self.grid.costs(slice(None)), self.rows)
        costs = costs if self.columns is None else costs[:, self.columns]
        table = (self.g - costs).add_(self.f[:, None]).div_(self.epsilon).exp_()
        return table.mT @ (w[:, None] * table)

    def column_softmin(self, f: Tensor, epsilon: float) -> Tensor:
        """Axis by axis."""
        return -epsilon * self._back(f / epsilon, epsilon)

    def _forth(self, logs: Tensor, epsilon: float) -> Tensor:
        return picked(self.grid.smooth(self._all(logs, self.columns), epsilon), self.rows)

    def _back(self, logs: Tensor, epsilon: float) -> Tensor:
        found = self.grid.smooth(self._all(logs, self.rows), epsilon, back=True)
        return picked(found, self.columns)

    def _all(self, logs: Tensor, cells: Tensor | None) -> Tensor:
        if cells is None:
            return logs
        found = torch.full((self.grid.shape[0],), -torch.inf, dtype=logs.dtype, device=logs.device)
        found[cells] = logs
        return found


def _smooth_axis(logs: Tensor, table: Tensor, factors: Tensor | None) -> Tensor:
    """`log sum_j factors_ij exp(logs_rj - table_ij)` for `(r, n)` and `(n, n)`, `(r, n)`."""
    low = table.min()
    table = table - low
    wide = _wide(float(table.max()), table)
    if wide is None:
        weights = -table if factors is None else factors.log() - table
        parts = logs.split(max(1, _BLOCK // table.numel()))
        return torch.cat([(part[:, None] + weights).logsumexp(2) for part in parts]) - low
    top = logs.amax(1, keepdim=True)
    top = top.where(top.isfinite(), 0.0)
    kernel = (-table.to(wide)).exp()
    if factors is not None:
        kernel *= factors
    return ((logs - top).to(wide).exp() @ kernel.mT).log().to(logs) + (top - low)


def _wide(span: float, like: Tensor) -> torch.dtype | None:
    """A type in which no term that counts underflows, if there is one.

    The largest term is no less than `exp(-span)` if the largest factor is one.
    """
    doubles = like.device.type != "mps"
    for dtype in (like.dtype, torch.double) if doubles else (like.dtype,):
        if span < -math.log(torch.finfo(dtype).tiny) - _MARGIN:
            return dtype
    return None


def _signed(w: Tensor, product: Callable[[Tensor], Tensor]) -> Tensor:
    """A product that is given logarithms, of numbers of either sign."""
    found = product(w.clamp(min=0).log())
    if bool((w < 0).any()):
        found = found - product(w.clamp(max=0).neg().log())
    return found
