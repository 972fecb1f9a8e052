"""Noise levels: positive numbers, largest first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from pushforward.errors import InputError

__all__ = ["check_level", "check_levels", "geometric"]


def geometric(largest: float, smallest: float, count: int) -> tuple[float, ...]:
    """Noise levels of constant ratio, from the largest to the smallest (Song & Ermon 2019).

    Raises `InputError` unless `largest > smallest > 0` and there are at least two.

    >>> geometric(4.0, 1.0, 3)
    (4.0, 2.0, 1.0)
    """
    if not isinstance(count, int) or isinstance(count, bool) or count < 2:
        raise InputError(f"count is a whole number of levels, at least 2, not {count!r}")
    check_level(smallest)
    check_level(largest)
    if not largest > smallest:
        raise InputError(f"levels decrease: need largest > smallest, not {largest} and {smallest}")
    ratio = (smallest / largest) ** (1 / (count - 1))
    inner = (largest * ratio**k for k in range(1, count - 1))
    return (float(largest), *inner, float(smallest))


def check_level(sigma: float) -> float:
    """One noise level. Raises `InputError` unless it is positive and finite.

    >>> check_level(1)
    1.0
    """
    try:
        value = float(sigma)
    except (TypeError, ValueError):
        raise InputError(f"a noise level sigma is a number, not {sigma!r}") from None
    if not 0 < value < math.inf:
        raise InputError(f"a noise level sigma is positive and finite, not {value}")
    return value


def check_levels(sigmas: Sequence[float]) -> tuple[float, ...]:
    """Noise levels. Raises `InputError` unless there is one, all are positive, and they decrease.

    >>> check_levels([2, 1])
    (2.0, 1.0)
    """
    levels = tuple(check_level(sigma) for sigma in sigmas)
    if not levels:
        raise InputError("there are no noise levels: give at least one")
    for before, after in pairwise(levels):
        if not before > after:
            raise InputError(f"noise levels decrease, but {after} follows {before}")
    return levels
