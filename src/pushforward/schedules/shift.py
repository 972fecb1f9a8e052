r"""The timestep shift: more noise for data with more entries."""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor

__all__ = ["shift_time"]

T = TypeVar("T", float, Tensor)


def shift_time(t: T, shift: float) -> T:
    r"""`shift t / (1 + (shift - 1) t)` (Esser et al. 2024, eq. 23), from [0, 1] onto [0, 1].

    On the `Rectified` clock it multiplies the noise level `sigma / alpha = t / (1 - t)`. An image
    with `m` times as many pixels of the same content looks as noisy at `sqrt(m)` times the level,
    hence `shift = sqrt(m)`. Stable Diffusion 3 takes 3; Flux writes it as `exp(mu)`. Its inverse
    is the shift by `1 / shift`.

    >>> shift_time(0.5, 3.0), shift_time(0.75, 1 / 3)
    (0.75, 0.5)
    """
    return shift * t / (1 + (shift - 1) * t)
