"""Dual potentials of an assignment."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["assignment_potentials"]

_ROUNDING = 1e-12
"""The slack of an inequality between costs, over the largest, that is none."""


def assignment_potentials(costs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """`f` and `g`, `(n,)`, with `f_i + g_j <= c_ij` and equality on the assignment.

    Whoever leaves its partner for another's pays the difference of two costs. The shortest paths of
    these differences, from all points at once, are a potential, since no way round is negative
    where the assignment is optimal (Bellman-Ford; one pass is a sweep of the costs). In the
    precision of the costs, which is best double.

    >>> f, g = assignment_potentials(torch.tensor([[1.0, 3.0], [1.0, 1.0]]), torch.tensor([0, 1]))
    >>> f[:, None] + g
    tensor([[1., 1.],
            [1., 1.]])
    """
    paired = costs.gather(1, target[:, None])
    # From the partner of row `i` to column `j`.
    lengths = (costs - paired)[target.argsort()]
    slack = _ROUNDING * float(costs[costs < torch.inf].abs().max())
    g = torch.zeros_like(paired[:, 0])
    for _ in range(len(g)):
        shorter = (g[:, None] + lengths).amin(0)
        if bool((shorter >= g - slack).all()):
            break
        g = torch.minimum(g, shorter)
    return paired[:, 0] - g[target], g
