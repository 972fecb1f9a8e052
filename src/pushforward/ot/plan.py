"""Transport plans: what an optimal transport problem is solved by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pushforward.ot.geometry import Geometry

__all__ = ["Plan"]


@dataclass(frozen=True, eq=False)
class Plan:
    """An entropic plan `P_ij = a_i b_j exp((f_i + g_j - c_ij) / epsilon)`, made when asked for.

    Args:
        regularized_cost: the optimal value `<c, P> + epsilon KL(P | a b')`, plus the penalties of
            marginals that are not binding. It carries the gradient in whatever of the points, the
            weights or the cost matrix asked for one, by the envelope theorem.
        cost: `<c, P>`, without gradient.
        f, g: dual potentials, `(n,)` and `(m,)`, up to a constant that moves between them.
        a, b: the weights of the marginals.
        epsilon: the strength of the entropy, in units of the cost.
        marginal_error: how far the plan is from meeting its marginals, `L1` distances added up. If
            they are not binding, the distance to what the potentials say the marginals should be.
        iterations: sweeps of the kernel, each two products with it.
        converged: whether `marginal_error` is within the tolerance asked for.
        tau: the weights of the penalties on the two marginals; infinity binds.
        geometry: the costs.
    """

    regularized_cost: Tensor
    cost: Tensor
    f: Tensor
    g: Tensor
    a: Tensor
    b: Tensor
    epsilon: float
    marginal_error: float
    iterations: int
    converged: bool
    tau: tuple[float, float]
    geometry: Geometry = field(repr=False)

    def blocks(self, size: int | None = None) -> Iterator[tuple[slice, Tensor]]:
        """Consecutive rows of the plan: a slice and its entries `(rows, m)`."""
        for rows in self.geometry.blocks(size):
            yield rows, self._rows(rows)

    def matrix(self) -> Tensor:
        """All entries, `(n, m)`."""
        return torch.cat([block for _, block in self.blocks()])

    def apply(self, v: Tensor) -> Tensor:
        """`P v` for `(m,)` or `(m, k)`, in memory `O(n)`."""
        return torch.cat([block @ v for _, block in self.blocks()])

    def apply_transposed(self, v: Tensor) -> Tensor:
        """`P' v` for `(n,)` or `(n, k)`, in memory `O(n)`."""
        out = v.new_zeros(self.geometry.shape[1], *v.shape[1:])
        for rows, block in self.blocks():
            out += block.mT @ v[rows]
        return out

    def marginals(self) -> tuple[Tensor, Tensor]:
        """The row and the column sums, `(n,)` and `(m,)`."""
        found = self.geometry.sums(self.f, self.g, self.a, self.b, self.epsilon)
        return found.left, found.right

    def _rows(self, rows: slice) -> Tensor:
        logs = self.geometry.exponents(rows, self.f, self.g, self.epsilon)
        return logs.exp_().mul_(self.a[rows, None]).mul_(self.b)
