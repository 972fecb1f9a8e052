"""The sliced Wasserstein distance: how far mass has to move, averaged over directions."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.errors import InputError
from pushforward.metrics._points import pair
from pushforward.metrics.estimate import Estimate

__all__ = ["sliced_wasserstein"]


def sliced_wasserstein(x: Tensor, y: Tensor, *, directions: int = 128, seed: int = 0) -> Estimate:
    r"""`SW_2 = sqrt(mean over unit vectors u of W_2(u.X, u.Y)^2)` (Rabin et al. 2012).

    On a line, `W_2^2` is the mean squared distance of the quantile functions, taken here exactly
    for any two sizes. In the units of the data. Between finite sets of one distribution the
    distance is positive, of order `n^-1/2`: read it against the distance of two sets of real data.

    Args:
        x, y: states `(N, *event)` and `(M, *event)`, at least 2 of each.
        directions: how many unit vectors, drawn by `seed`; one is enough on a line.

    Returns the estimate with its standard error by the delta method: the derivative of `W_2^2` in
    each point is the Kantorovich potential there (del Barrio & Loubes 2019), and the spread over
    directions adds its share. It measures chance, not the bias of finite sets, and is
    somewhat too large at equal distributions, where the potentials vanish.
    Raises `InputError` for different events, too few points, NaN or infinity.

    >>> g = torch.Generator().manual_seed(0)
    >>> x, y = torch.randn(500, 1, generator=g), torch.randn(400, 1, generator=g)
    >>> print(sliced_wasserstein(x + 3, y))
    3.048 ± 0.071
    """
    left, right = pair(x, y)
    if directions < 1:
        raise InputError(f"directions={directions}: at least one is needed")
    center = right.mean(0)
    dimension = left.shape[1]
    if dimension == 1:
        units = torch.ones(1, 1, dtype=torch.float64)
    else:
        normal = torch.randn(dimension, directions, generator=resolve(seed), dtype=torch.float64)
        units = normal / normal.norm(dim=0)
    squares, potential_x, potential_y = _on_lines((left - center) @ units, (right - center) @ units)
    value = float(squares.mean().sqrt())
    variance = float(potential_x.mean(1).var()) / len(left)
    variance += float(potential_y.mean(1).var()) / len(right)
    if len(squares) > 1:
        variance += float(squares.var()) / len(squares)
    stderr = math.sqrt(variance) / (2 * value) if value > 0 else 0.0
    return Estimate(value, stderr, min(len(left), len(right)))


def _on_lines(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`W_2^2` on each of L lines, `(L,)`, and its potentials at the points, `(N, L)` and `(M, L)`.

    The quantile functions are step functions; between two consecutive steps of either, the mass
    `width` moves from the `i`-th smallest of `x` to the `j`-th smallest of `y`.
    """
    n, m = len(x), len(y)
    (a, order_a), (b, order_b) = x.sort(0), y.sort(0)
    # In units of 1 / (n m), where steps that coincide do so exactly.
    steps = torch.cat([torch.arange(1, n + 1) * m, torch.arange(1, m + 1) * n]).unique()
    width = torch.diff(steps, prepend=steps.new_zeros(1))
    i, j = (steps - 1) // m, (steps - 1) // n
    mass = (width.to(torch.float64) / (n * m))[:, None]
    squares = (mass * (a[i] - b[j]).square()).sum(0)
    to_y = torch.zeros_like(a).index_add_(0, i, mass * b[j]) * n
    to_x = torch.zeros_like(b).index_add_(0, j, mass * a[i]) * m
    return squares, _potential(a, to_y, order_a), _potential(b, to_x, order_b)


def _potential(points: Tensor, targets: Tensor, order: Tensor) -> Tensor:
    """The function with slope `2 (u - T(u))`, by trapezia, in the original order of the points."""
    slope = 2 * (points - targets)
    rises = 0.5 * (slope[1:] + slope[:-1]) * torch.diff(points, dim=0)
    sums = torch.cat([torch.zeros_like(points[:1]), rises.cumsum(0)])
    return torch.empty_like(points).scatter_(0, order, sums)
