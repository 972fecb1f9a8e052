"""Transport plans: what an optimal transport problem is solved by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.ot import checks
from pushforward.ot.geometry import Geometry, alive

__all__ = ["Plan", "Scalings"]


class Scalings(NamedTuple):
    """A plan as `P_ij = u_i exp(-c_ij / epsilon) v_j`, without the weights in the kernel.

    >>> Scalings(torch.ones(2), torch.ones(3)).v.shape
    torch.Size([3])
    """

    u: Tensor
    v: Tensor


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
        geometry: the costs, perhaps less what depends on one side alone (`Geometry.reduced`).
        potentials: `f` and `g` less the offsets of these costs.
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
    potentials: tuple[Tensor, Tensor] = field(repr=False)

    def blocks(self, size: int | None = None) -> Iterator[tuple[slice, Tensor]]:
        """Consecutive rows of the plan: a slice and its entries `(rows, m)`."""
        row, column = self._alive()
        for rows in self.geometry.blocks(size):
            logs = self.geometry.exponents(rows, row, column, self.epsilon)
            yield rows, logs.exp_().mul_(self.a[rows, None]).mul_(self.b)

    def matrix(self) -> Tensor:
        """All entries, `(n, m)`."""
        return torch.cat([block for _, block in self.blocks()])

    def apply(self, v: Tensor) -> Tensor:
        """`P v` for `(m,)` or `(m, k)`, in memory `O(n)`."""
        v = self._vectors(v, 1)
        return torch.cat([block @ v for _, block in self.blocks()])

    def apply_transposed(self, v: Tensor) -> Tensor:
        """`P' v` for `(n,)` or `(n, k)`, in memory `O(n)`."""
        v = self._vectors(v, 0)
        out = v.new_zeros(self.geometry.shape[1], *v.shape[1:])
        for rows, block in self.blocks():
            out += block.mT @ v[rows]
        return out

    def marginals(self) -> tuple[Tensor, Tensor]:
        """The row and the column sums, `(n,)` and `(m,)`."""
        found = self.geometry.sums(*self.potentials, self.a, self.b, self.epsilon)
        return found.left.to(self.a), found.right.to(self.b)

    def scalings(self) -> Scalings:
        """`u = a exp(f / epsilon)` and `v = b exp(g / epsilon)`: infinite or zero where `epsilon`
        is small."""
        u, v = ((p / self.epsilon).exp() for p in (self.f, self.g))
        return Scalings(self.a * u, self.b * v)

    def exponents(self, rows: slice = slice(None)) -> Tensor:
        """`(f_i + g_j - c_ij) / epsilon` for some rows, the logarithm of `P_ij / (a_i b_j)`.

        Minus infinity where no mass can be.
        """
        return self.geometry.exponents(rows, *self._alive(), self.epsilon)

    def _vectors(self, v: Any, side: int) -> Tensor:
        """Vectors of one number for each row (`side` 0) or column (1) of the plan."""
        v, size = checks.finite(v, "v"), self.geometry.shape[side]
        if v.ndim not in (1, 2) or len(v) != size:
            raise InputError(
                f"v has shape {tuple(v.shape)}; ({size},) or ({size}, k) are multiplied here"
            )
        return v.to(self.a)

    def _alive(self) -> tuple[Tensor, Tensor]:
        f, g = self.potentials
        return alive(f, self.a), alive(g, self.b)
