"""How many digits after the point the numbers of a column have."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["decimals_of"]

_MOST = 9
_FIRST = 1000


def decimals_of(values: NDArray[Any]) -> int | None:
    """The digits after the point that all values of a column have; `None` for many.

    >>> decimals_of(np.array([0.5, 1.25])), decimals_of(np.array([0.1 + 0.2j]).real / 3)
    (2, None)
    """
    close = 4 * np.finfo(values.dtype).eps * np.abs(values).max(initial=0.0)

    def fit(own: NDArray[Any], digits: int) -> bool:
        return bool((np.abs(own - np.round(own, digits)) <= close).all())

    for digits in range(_MOST + 1):
        # The first rows rule out nearly all.
        if fit(values[:_FIRST], digits) and fit(values, digits):
            return digits
    return None
