"""Floors: what an estimate gives for two samples of one distribution.

All points pooled are one sample of the mixture of both distributions, and each random division of
them into parts of the sizes of `x` and `y` is a pair of samples of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.metrics._points import blocks, distances

__all__ = [
    "MANY",
    "QUICK",
    "Floor",
    "divisions",
    "floor",
    "floor_of",
    "kernel_floor",
    "kernel_gaps",
]

_FEW, _SOME, MANY = 5, 20, 100
QUICK = 250_000
"""Pairs of points, up to which even a plan is made in a fraction of a second."""


class Floor(NamedTuple):
    """Mean and standard deviation of an estimate over some divisions of all points."""

    mean: float
    spread: float
    divisions: int


def floor(
    estimate: Callable[[Tensor, Tensor], float],
    x: Tensor,
    y: Tensor,
    *,
    seed: int,
    slow: bool = False,
) -> Floor:
    """The floor of an estimate: over 20 divisions, over 5 where each takes seconds.

    >>> x = torch.tensor([[0.0], [0.0], [9.0], [9.0]])
    >>> floor(lambda a, b: float((a.mean() - b.mean()).abs()), x, x, seed=0).mean < 5
    True
    """
    both = torch.cat([x, y])
    count = _FEW if slow and len(x) * len(y) > QUICK else _SOME
    return floor_of(
        estimate(both[order[: len(x)]], both[order[len(x) :]])
        for order in divisions(len(both), count, seed)
    )


def divisions(n: int, count: int, seed: int) -> list[Tensor]:
    """So many random orders of `n` points, the first of which make the first part."""
    generator = resolve(seed)
    return [torch.randperm(n, generator=generator) for _ in range(count)]


def floor_of(values: Iterable[float]) -> Floor:
    """The floor from what the estimate gives for each division."""
    found = torch.tensor(list(values), dtype=torch.float64)
    return Floor(float(found.mean()), float(found.std()), len(found))


def kernel_floor(kernel: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, *, seed: int) -> Floor:
    """The floor of `E k(X, X') + E k(Y, Y') - 2 E k(X, Y)` for a kernel of distances.

    Unbiased, over 100 divisions: one table of all pairs has them all.
    """
    both = torch.cat([x, y])
    first = torch.zeros(len(both), MANY)
    for k, order in enumerate(divisions(len(both), MANY, seed)):
        first[order[: len(x)], k] = 1

    def tables() -> Iterable[Tensor]:
        for start, block in blocks(both, len(both)):
            table = -kernel(distances(block, both))
            rows = torch.arange(len(block))
            table[rows, rows + start] = 0
            yield table

    return floor_of(kernel_gaps(tables(), first).tolist())


def kernel_gaps(tables: Iterable[Tensor], first: Tensor) -> Tensor:
    """Twice the mean of a symmetric table `(N, N)` between two parts, less the means within both.

    Args:
        tables: rows of the table, some after the other; zeros on its diagonal.
        first: divisions `(N, R)`, 1 where a row belongs to the first part.

    Returns `(R,)`, in double precision.

    >>> line = torch.tensor([0.0, 1.0, 5.0, 6.0], dtype=torch.float64)
    >>> first = torch.tensor([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    >>> kernel_gaps([(line[:, None] - line).abs()], first).tolist()
    [8.0, -4.0]
    """
    size, n = len(first), float(first[:, 0].sum())
    m = size - n
    within = torch.zeros(first.shape[1], dtype=torch.float64)
    of_first, total, start = torch.zeros_like(within), 0.0, 0
    for table in tables:
        part = first[start : start + len(table)]
        # In single precision, twice as fast: rounding is far below the differences of divisions.
        within += (part * (table.float() @ first)).double().sum(0)
        of_first += part.mT.double() @ table.sum(1).double()
        total += float(table.sum())
        start += len(table)
    across = of_first - within
    rest = total - within - 2 * across
    return 2 * across / (n * m) - within / (n * (n - 1)) - rest / (m * (m - 1))
