"""The Sinkhorn divergence: entropic transport without its bias."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from pushforward.ot import checks
from pushforward.ot.costs import CostLike
from pushforward.ot.geometry import PointClouds
from pushforward.ot.sinkhorn import sinkhorn

__all__ = ["sinkhorn_divergence"]


def sinkhorn_divergence(
    x: Tensor,
    y: Tensor,
    epsilon: float,
    a: Tensor | None = None,
    b: Tensor | None = None,
    *,
    cost: CostLike | None = None,
    block_size: int | None = None,
    **options: Any,
) -> Tensor:
    """`OT(x, y) - OT(x, x) / 2 - OT(y, y) / 2` with entropic costs (Feydy et al. 2019).

    It is positive between different distributions, zero between equal ones, and convex in each; it
    tends to the transport cost as `epsilon` falls and to a maximum mean discrepancy as it rises.
    With unbalanced marginals, half of `epsilon` times the squared difference of the masses is added
    (Séjourné et al. 2019).

    Args:
        x, y, cost, block_size: as for `PointClouds`.
        epsilon, a, b: as for `sinkhorn`.
        options: further options of `sinkhorn`, for each of the three problems.

    Returns a number, differentiable in points and weights. Raises `InputError` as `sinkhorn` does.

    >>> import torch
    >>> g = torch.Generator().manual_seed(0)
    >>> x = torch.randn(100, 2, generator=g)
    >>> moved = sinkhorn_divergence(x, x + 1, epsilon=0.1, tolerance=1e-5)
    >>> round(float(moved), 2)
    2.0
    """
    cross, left, right = (
        sinkhorn(PointClouds(*points, cost, block_size), epsilon, *weights, **options)
        for points, weights in (((x, y), (a, b)), ((x, x), (a, a)), ((y, y), (b, b)))
    )
    half = 0.5 * (left.regularized_cost + right.regularized_cost)
    if min(cross.tau) == float("inf"):
        return cross.regularized_cost - half
    masses = _mass(a) - _mass(b)
    return cross.regularized_cost - half + 0.5 * epsilon * masses**2


def _mass(weights: Any) -> Any:
    return 1.0 if weights is None else checks.finite(weights, "weights").sum()
