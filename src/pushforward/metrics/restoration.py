"""How near restored pictures are to the true ones: PSNR and SSIM."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from pushforward import checks
from pushforward.errors import InputError

__all__ = ["psnr", "ssim"]


def psnr(x: Tensor, truth: Tensor, *, value_range: float) -> Tensor:
    r"""The peak signal-to-noise ratio of each picture in decibels, `10 log10(R^2 / MSE)`, `(B,)`.

    Args:
        x: restored states `(B, *event)`.
        truth: the true ones, of the same shape.
        value_range: `R`, the distance of black and white in the units of both: 255 for bytes, 1 for
            pictures on [0, 1], 2 on [-1, 1]. Twice the range is 6 dB.

    Infinite for equal pictures. The mean of many draws has a higher one than any draw: it is a
    measure of squared error, which the posterior mean makes least. Raises `InputError` for
    different shapes and a range that is not positive.

    >>> psnr(torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), 0.1), value_range=1.0)
    tensor([20.])
    """
    limit = checks.positive("value_range", value_range)
    error = _pair(x, truth).flatten(1).square().mean(1)
    return 20 * math.log10(limit) - 10 * error.log10()


def ssim(x: Tensor, truth: Tensor, *, value_range: float, window: int = 7) -> Tensor:
    r"""The structural similarity of each picture (Wang et al. 2004), `(B,)`, at most 1.

    In each window with means `m`, variances `v` and covariance `c` of the two pictures,

        (2 m_x m_y + C_1) (2 c + C_2) / ((m_x^2 + m_y^2 + C_1) (v_x + v_y + C_2)),

    `C_1 = (0.01 R)^2`, `C_2 = (0.03 R)^2`, averaged over all windows that lie within the picture
    and over channels. Windows are square and flat, and variances those of samples, as is the
    default of `skimage.metrics.structural_similarity`; the paper has Gaussian windows of 11 pixels,
    which do not fit pictures of 8.

    Args:
        x: restored pictures `(B, C, H, W)`.
        truth: the true ones.
        value_range: `R`, as for `psnr`.
        window: pixels along a side, an odd number.

    Raises `InputError` for other shapes, and pictures smaller than a window.

    >>> ssim(torch.ones(1, 1, 8, 8), torch.ones(1, 1, 8, 8), value_range=1.0)
    tensor([1.])
    """
    limit, side = checks.positive("value_range", value_range), checks.whole("window", window, 3)
    _pair(x, truth)
    if x.ndim != 4 or side % 2 == 0 or side > min(x.shape[2:]):
        raise InputError(
            f"SSIM takes pictures (B, C, H, W) with at least {window} pixels along a side, and a "
            f"window of an odd number of them, not {tuple(x.shape)} with a window of {window}"
        )
    a, b = x.double(), truth.double()
    mean_a, mean_b = _mean(a, side), _mean(b, side)
    count = side * side
    unbiased = count / (count - 1)
    var_a = unbiased * (_mean(a * a, side) - mean_a.square())
    var_b = unbiased * (_mean(b * b, side) - mean_b.square())
    covariance = unbiased * (_mean(a * b, side) - mean_a * mean_b)
    c_1, c_2 = (0.01 * limit) ** 2, (0.03 * limit) ** 2
    above = (2 * mean_a * mean_b + c_1) * (2 * covariance + c_2)
    below = (mean_a.square() + mean_b.square() + c_1) * (var_a + var_b + c_2)
    return (above / below).flatten(1).mean(1).to(x.dtype)


def _mean(x: Tensor, side: int) -> Tensor:
    """The mean of each window."""
    return functional.avg_pool2d(x, side, stride=1)


def _pair(x: Tensor, truth: Tensor) -> Tensor:
    """The differences of pictures of one shape."""
    if x.shape != truth.shape or x.ndim < 2:
        raise InputError(
            f"restored and true states have one shape (B, *event), not {tuple(x.shape)} and "
            f"{tuple(truth.shape)}"
        )
    return torch.as_tensor(x - truth)
