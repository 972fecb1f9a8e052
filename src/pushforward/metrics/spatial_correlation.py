"""How alike the values of fields are at some distance."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward._precision import in_double
from pushforward.errors import InputError

__all__ = ["autocovariance", "correlation_of"]


def autocovariance(x: Tensor) -> Tensor:
    r"""The covariance of cells at some distance, `(N, C, H, W)` to `(N, C, L)` in float64.

    `c(r)`, the mean of `x(s) x(s + d)` over all places and all `d` whose length rounds to `r`
    cells, up to half of the grid, on a periodic domain, of deviations from the mean of all rows;
    the transform of the spectrum (Wiener-Khinchin), which it holds no more than. `mean_band` with
    `of=correlation_of` is the correlation function with bands.

    Raises `InputError` for other shapes, NaN or infinity.

    >>> x = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).tile(4, 4).expand(1, 1, 8, 8)
    >>> correlation_of(autocovariance(x))[0, 0, :2].round(decimals=4)  # half of lag 1 are diagonal
    tensor([1., 0.], dtype=torch.float64)
    """
    if x.ndim != 4 or not bool(x.isfinite().all()):
        raise InputError(f"fields are finite, of shape (N, C, H, W), not {tuple(x.shape)}")
    x = in_double(x)
    x = x - x.mean((0, 2, 3), keepdim=True)
    waves = torch.fft.fft2(x, norm="forward")
    products = torch.fft.ifft2(waves.abs().square(), norm="forward").real
    sizes = tuple(x.shape[2:])
    square = torch.zeros((), dtype=torch.float64)
    for size in sizes:
        lag = torch.fft.fftfreq(size, 1 / size, dtype=torch.float64)
        square = square.unsqueeze(-1) + lag.square()
    length = square.sqrt().round().long().flatten().to(x.device)
    last = math.ceil(min(sizes) / 2)
    counts = torch.bincount(length)[:last]
    found = products.new_zeros(*x.shape[:2], int(length.max()) + 1)
    found.index_add_(2, length, products.flatten(2))
    return found[..., :last] / counts


def correlation_of(covariance: Tensor) -> Tensor:
    """`c(r) / c(0)` of mean covariances `(*, L)`."""
    return covariance / covariance[..., :1]
