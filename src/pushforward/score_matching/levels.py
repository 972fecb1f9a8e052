"""Noise levels: positive numbers, largest first."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from pushforward.checks import positive, whole
from pushforward.errors import InputError

__all__ = ["check_levels", "geometric"]


def geometric(largest: float, smallest: float, count: int) -> tuple[float, ...]:
    """Noise levels of constant ratio, from the largest to the smallest (Song & Ermon 2019).

    Raises `InputError` unless `largest > smallest > 0` and there are at least two.

    >>> geometric(4.0, 1.0, 3)
    (4.0, 2.0, 1.0)
    """
    whole("count", count, least=2)
    positive("smallest", smallest)
    positive("largest", largest)
    if not largest > smallest:
        raise InputError(f"levels decrease: need largest > smallest, not {largest} and {smallest}")
    ratio = (smallest / largest) ** (1 / (count - 1))
    inner = (largest * ratio**k for k in range(1, count - 1))
    return (float(largest), *inner, float(smallest))


def check_levels(sigmas: Sequence[float]) -> tuple[float, ...]:
    """Noise levels. Raises `InputError` unless there is one, all are positive, and they decrease.

    >>> check_levels([2, 1])
    (2.0, 1.0)
    """
    levels = tuple(positive("sigma", sigma) for sigma in sigmas)
    if not levels:
        raise InputError("there are no noise levels: give at least one")
    for before, after in pairwise(levels):
        if not before > after:
            raise InputError(f"noise levels decrease, but {after} follows {before}")
    return levels
