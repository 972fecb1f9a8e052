"""Blur: each pixel mixed with its neighbors."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward import checks
from pushforward.errors import InputError
from pushforward.inverse.separable import SeparableOperator, filter_matrix, outside

__all__ = ["Blur"]


class Blur(SeparableOperator):
    r"""A picture, or a signal, filtered along each axis by the same taps.

    Args:
        kernel: the standard deviation of a Gaussian in pixels, cut at four of them and normalized;
            or an odd number of taps `(k,)`, the middle one on the pixel itself.
        boundary: what is beyond the edge: `zeros`, `reflect` (without the edge pixel), `replicate`
            or `circular`, as in `torch.nn.Conv2d`.

    Taps are those of a correlation, as in `torch.nn.Conv2d`. A kernel that is no product of two:
    `Convolution`. Raises `InputError` for other kernels and boundaries.

    >>> Blur(torch.tensor([0.25, 0.5, 0.25]), boundary="zeros")(torch.tensor([[0.0, 4.0, 0.0]]))
    tensor([[1., 2., 1.]])
    """

    def __init__(self, kernel: float | Tensor, boundary: str = "reflect") -> None:
        if isinstance(kernel, Tensor) and kernel.ndim:
            if kernel.ndim > 1 or len(kernel) % 2 == 0 or not bool(kernel.isfinite().all()):
                raise InputError(
                    "the taps of a blur are an odd number of finite ones (k,), not "
                    f"{tuple(kernel.shape)}: Convolution takes pictures of taps"
                )
            self.taps = kernel
        else:
            self.taps = _gaussian(checks.positive("the deviation of a blur", kernel))
        outside(torch.zeros(1, dtype=torch.long), 1, boundary)
        self.boundary = boundary

    def along(self, size: int, axis: int) -> Tensor:
        """The taps about each pixel."""
        starts = torch.arange(size) - len(self.taps) // 2
        return filter_matrix(self.taps, starts, size, self.boundary)


def _gaussian(std: float) -> Tensor:
    radius = max(1, math.floor(4 * std + 0.5))
    found = (-0.5 * (torch.arange(-radius, radius + 1, dtype=torch.float64) / std).square()).exp()
    return found / found.sum()
