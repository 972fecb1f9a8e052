r"""The two-sample U-statistic behind every kernel distance, with its variance.

For a symmetric kernel `k`, independent `x_1..x_n` from P and `y_1..y_m` from Q,

    U = mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{i, j} k(x_i, y_j)

has mean `E k(X, X') + E k(Y, Y') - 2 E k(X, Y)` exactly. Its Hoeffding decomposition gives

    Var U = 4 zeta_x / n + 4 zeta_y / m + S,
    S = 2 s_xx / (n (n - 1)) + 2 s_yy / (m (m - 1)) + 4 s_xy / (n m),

with `zeta` the variances of the projections `E[k(x, X)] - E[k(x, Y)]` and `s` those of the doubly
centered kernels. At P = Q the projections vanish and only `S` is left. The observed row means
`a_i = mean_{j != i} k(x_i, x_j) - mean_j k(x_i, y_j)` vary by
`zeta_x + s_xx / (n - 1) + s_xy / m`; solving for `zeta` leaves

    Var U = 4 var(a) / n + 4 var(b) / m - S,

with `S` as the least it can be. Far from P = Q this is unbiased for the variance. At P = Q, where
the spread of the `a_i` is itself mostly chance, cutting at `S` makes the standard error about 1.4
times too large, on the safe side for a statistic that is skewed to the right there.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from pushforward.metrics._points import blocks, distances
from pushforward.metrics.estimate import Estimate

__all__ = ["u_statistic"]

_SLICES = 8

Kernel = Callable[[Tensor], Tensor]


def u_statistic(x: Tensor, y: Tensor, kernel: Kernel) -> Estimate:
    """The U-statistic of a kernel of the distance, from points `(n, d)` and `(m, d)`.

    `kernel` maps distances to values, entry by entry. At least 4 points on each side.

    >>> x = torch.tensor([[0.0], [0.0], [2.0], [2.0]], dtype=torch.float64)
    >>> round(u_statistic(x, x + 10, torch.neg).value, 4)  # 2 * 10 - 4 / 3 - 4 / 3
    17.3333
    """
    n, m = len(x), len(y)
    within_x, within_y, across = _Sums(n, n), _Sums(m, m), _Sums(n, m)
    for sums, points in ((within_x, x), (within_y, y)):
        # Blocks of few rows: what lies left of the diagonal within them is computed in vain.
        for start, block in blocks(points, _SLICES * len(points)):
            sums.add_pairs(start, kernel(distances(block, points[start:])).triu_(1))
    for start, block in blocks(x, m):
        across.add(start, kernel(distances(block, y)))
    row_x, row_y = within_x.rows / (n - 1), within_y.rows / (m - 1)
    value = float(row_x.mean() + row_y.mean() - 2 * across.rows.sum() / (n * m))
    a, b = row_x - across.rows / m, row_y - across.columns / n
    second = (
        2 * _within(within_x, row_x) / (n * (n - 1))
        + 2 * _within(within_y, row_y) / (m * (m - 1))
        + 4 * _across(across) / (n * m)
    )
    variance = 4 * float(a.var()) / n + 4 * float(b.var()) / m - second
    return Estimate(value, math.sqrt(max(variance, second, 0.0)), min(n, m))


class _Sums:
    """Row sums, column sums and the sum of squares of a table that is never held whole."""

    def __init__(self, n: int, m: int) -> None:
        self.rows = torch.zeros(n, dtype=torch.float64)
        self.columns = torch.zeros(m, dtype=torch.float64)
        self.squares = 0.0

    def add_pairs(self, start: int, table: Tensor) -> None:
        """Take rows from `start` on of a symmetric table with zeros on its diagonal, from the
        diagonal to the right, each pair once."""
        self.rows[start : start + len(table)] += table.sum(1)
        self.rows[start:] += table.sum(0)
        self.squares += 2 * float(table.square().sum())

    def add(self, start: int, table: Tensor) -> None:
        self.rows[start : start + len(table)] = table.sum(1)
        self.columns += table.sum(0)
        self.squares += float(table.square().sum())


def _within(sums: _Sums, row_means: Tensor) -> float:
    """`s_xx`: the off-diagonal table less its row and column effects, on `n (n - 3)` freedoms.

    Least squares gives row `i` the effect `(n - 1) / (n - 2)` times its mean's deviation, since its
    mean lacks the diagonal.
    """
    n, mean = len(row_means), row_means.mean()
    total = sums.squares - n * (n - 1) * mean**2
    effects = 2 * (n - 1) ** 2 / (n - 2) * (row_means - mean).square().sum()
    return float(total - effects) / (n * (n - 3))


def _across(sums: _Sums) -> float:
    """`s_xy`: the table less its row and column effects, on `(n - 1) (m - 1)` freedoms."""
    n, m = len(sums.rows), len(sums.columns)
    rows, columns = sums.rows / m, sums.columns / n
    mean = rows.mean()
    total = sums.squares - n * m * mean**2
    effects = m * (rows - mean).square().sum() + n * (columns - mean).square().sum()
    return float(total - effects) / ((n - 1) * (m - 1))
