"""Arrays of any real type as tensors that hold the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward._precision import RESOLUTION
from pushforward.errors import InputError

__all__ = ["numbers_of"]


def numbers_of(x: NDArray[Any], source: str) -> Tensor:
    """A copy in float32, for types that float32 holds exactly, and in float64 for all others.

    Raises `InputError` for integers that float64 cannot tell apart.

    >>> numbers_of(np.arange(3, dtype=np.uint8), "x").dtype, numbers_of(np.arange(3), "x").dtype
    (torch.float32, torch.float64)
    """
    kind = np.float32 if np.can_cast(x.dtype, np.float32) else np.float64
    values = np.array(x, dtype=kind, order="C")
    if x.dtype.kind in "iu" and x.dtype.itemsize == 8:
        _check_integers(x, values, source)
    return torch.from_numpy(values)


def _check_integers(x: NDArray[Any], values: NDArray[Any], source: str) -> None:
    """Raise `InputError` if a column of integers varies by too little about its first value."""
    if np.abs(values).max() <= 2.0**53:
        return
    # Differences that overflow wrap; one that is small is exact all the same.
    whole: Any = x.astype(np.int64)
    away = np.subtract(whole, whole[:1]).astype(np.float64)
    lost = np.abs(values - values[:1] - away).max(0)
    blurred = (lost > 0) & (RESOLUTION * lost > away.std(0))
    if blurred.any():
        entry = np.unravel_index(int(np.argmax(blurred)), blurred.shape)
        raise InputError(
            f"{source} holds integers such as {x[0][entry]} that float64 cannot tell from their "
            "neighbors: subtract an offset as integers first, x - x.min()"
        )
