r"""Orthonormal cosine and Hartley transforms: the eigenvectors of stationary noise on grids.

With `n` cells of a box, cosines that are flat at both ends, or cosines and sines that meet there.
Both are real and orthonormal at any `n`, by one FFT along the axis.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["from_modes", "frequencies", "to_modes"]


def to_modes(x: Tensor, periodic: tuple[bool, ...]) -> Tensor:
    """The coefficients of grid values `(..., *sizes)` in the modes of each of the last axes.

    >>> x = torch.rand(2, 5, 4, generator=torch.Generator().manual_seed(0))
    >>> torch.allclose(from_modes(to_modes(x, (False, True)), (False, True)), x, atol=1e-6)
    True
    """
    for axis, turns in enumerate(periodic, x.ndim - len(periodic)):
        moved = x.movedim(axis, -1)
        x = (_hartley(moved) if turns else _cosine(moved)).movedim(-1, axis)
    return x


def from_modes(modes: Tensor, periodic: tuple[bool, ...]) -> Tensor:
    """The grid values with these coefficients: the inverse of `to_modes`, and its transpose."""
    x = modes
    for axis, turns in enumerate(periodic, x.ndim - len(periodic)):
        moved = x.movedim(axis, -1)
        x = (_hartley(moved) if turns else _inverse_cosine(moved)).movedim(-1, axis)
    return x


def frequencies(size: int, periodic: bool) -> Tensor:
    """The angular frequencies of the modes on an axis of length one, `(n,)` in float64.

    >>> (frequencies(4, periodic=True) / torch.pi).tolist()
    [0.0, 2.0, 4.0, 2.0]
    """
    k = torch.arange(size, dtype=torch.float64)
    return 2 * math.pi * torch.minimum(k, size - k) if periodic else math.pi * k


def _hartley(x: Tensor) -> Tensor:
    """`sum_j x_j (cos + sin)(2 pi j k / n) / sqrt(n)`, its own inverse."""
    found = torch.fft.fft(x, norm="ortho")
    return found.real - found.imag


def _cosine(x: Tensor) -> Tensor:
    """The orthonormal DCT-II, by an FFT of the values in another order (Makhoul 1980)."""
    n = x.shape[-1]
    order = torch.cat([x[..., ::2], x[..., 1::2].flip(-1)], -1)
    found = (torch.fft.fft(order) * _turn(n, x)).real
    return found * _scale(n, x)


def _inverse_cosine(modes: Tensor) -> Tensor:
    n = modes.shape[-1]
    plain = modes / _scale(n, modes)
    mirrored = torch.nn.functional.pad(plain[..., 1:].flip(-1), (1, 0))
    order = torch.fft.ifft(torch.complex(plain, -mirrored) * _turn(n, modes).conj()).real
    x = torch.empty_like(order)
    half = (n + 1) // 2
    x[..., ::2], x[..., 1::2] = order[..., :half], order[..., half:].flip(-1)
    return x


def _turn(n: int, like: Tensor) -> Tensor:
    angle = -math.pi / (2 * n) * torch.arange(n, dtype=like.dtype, device=like.device)
    return torch.polar(torch.ones_like(angle), angle)


def _scale(n: int, like: Tensor) -> Tensor:
    scale = torch.full((n,), math.sqrt(2 / n), dtype=like.dtype, device=like.device)
    scale[0] = math.sqrt(1 / n)
    return scale
