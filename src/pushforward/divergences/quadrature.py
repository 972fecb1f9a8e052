"""Integrals over intervals and rectangles, to an error that is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

__all__ = ["Quadrature", "integrate"]

_NODES = {1: 16, 2: 10}
"""Of a Gauss-Legendre rule along each axis."""
_MOST = 20_000_000
"""Evaluations of the integrand."""
_AT_ONCE = 200_000
_LEVELS = 45


class Quadrature(NamedTuple):
    """The value of an integral, a bound of its numerical error, and whether that is small enough.

    Args:
        value: the integral.
        error: the sum of the last changes of its parts, which bounds its error.
        converged: whether the error is within the tolerance.
    """

    value: float
    error: float
    converged: bool


def integrate(
    function: Callable[[Tensor], Tensor], *edges: Tensor, tolerance: float = 1e-10
) -> Quadrature:
    """The integral of a function of points `(n, d)`, `d` 1 or 2, over a box.

    Gauss-Legendre rules on the cells between `edges`, increasing numbers `(k,)` along each axis;
    a cell whose halves change its value is cut in two along every axis, again and again.
    `tolerance` is relative, absolute for values below 1.

    >>> line = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    >>> round(integrate(lambda x: (x[:, 0] - 0.3).abs(), line).value, 9)
    1.09
    """
    d = len(edges)
    low = torch.cartesian_prod(*(e[:-1] for e in edges)).reshape(-1, d)
    high = torch.cartesian_prod(*(e[1:] for e in edges)).reshape(-1, d)
    nodes, weights = _rule(d)
    corners = torch.cartesian_prod(*[torch.tensor([0.0, 0.5], dtype=torch.float64)] * d)
    corners = corners.reshape(-1, d)

    def values(low: Tensor, high: Tensor) -> Tensor:
        parts = []
        for a, b in zip(
            low.split(_AT_ONCE // len(nodes)), high.split(_AT_ONCE // len(nodes)), strict=True
        ):
            points = a[:, None] + (b - a)[:, None] * nodes
            at = function(points.reshape(-1, d)).reshape(len(a), -1)
            parts.append((at @ weights) * (b - a).prod(1))
        return torch.cat(parts)

    coarse = values(low, high)
    total, error, used = 0.0, 0.0, len(low) * len(nodes)
    for level in range(_LEVELS):
        wide = (high - low)[:, None]
        low = (low[:, None] + wide * corners).reshape(-1, d)
        high = low + (0.5 * wide).expand(-1, len(corners), -1).reshape(-1, d)
        finer = values(low, high)
        used += len(low) * len(nodes)
        sums = finer.reshape(-1, len(corners)).sum(1)
        change = (sums - coarse).abs()
        scale = max(1.0, abs(total + float(sums.sum())))
        # A NaN is never small: what cannot be integrated ends with all evaluations spent.
        open_ = ~(change <= 1e-3 * tolerance * scale)
        last = (
            level == _LEVELS - 1 or used + int(open_.sum()) * len(corners) ** 2 * len(nodes) > _MOST
        )
        if last:
            open_[:] = False
        total += float(sums[~open_].sum())
        error += float(change[~open_].sum())
        if not bool(open_.any()):
            break
        again = open_.repeat_interleave(len(corners))
        low, high, coarse = low[again], high[again], finer[again]
    return Quadrature(total, error, error <= tolerance * max(1.0, abs(total)))


def _rule(d: int) -> tuple[Tensor, Tensor]:
    """Nodes `(k^d, d)` and weights `(k^d,)` on the unit box."""
    nodes, weights = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(_NODES[d]))
    places = torch.cartesian_prod(*[0.5 * (nodes + 1)] * d).reshape(-1, d)
    shares = torch.cartesian_prod(*[0.5 * weights] * d).reshape(-1, d).prod(1)
    return places, shares
