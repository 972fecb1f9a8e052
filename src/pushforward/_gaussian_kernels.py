"""Gaussian kernels of several widths at once, and their derivatives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["mean_gaussian"]

_SHARE = 0.6
"""Kernels below `tiny^0.6`, some 1e-23 in float32, are not told from it. Beside 1 that is nothing;
but numbers below `tiny`, in them or in what they multiply, take fifty times as long as others."""


def mean_gaussian(square: Tensor, widths: Sequence[float]) -> Tensor:
    """The mean of `exp(-d^2 / (2 w^2))` over widths `w`, from squared distances `d^2`.

    The kernel of half the width is the fourth power of a kernel: where the ratio of two neighboring
    widths allows it, the narrower kernel is the wider one squared a few times, and no exponential.
    Differentiable any number of times.

    >>> mean_gaussian(torch.tensor([0.0, 2.0]), [0.5, 1.0])
    tensor([1.0000, 0.1931])
    """
    ordered = tuple(sorted(widths, reverse=True))
    found: Tensor = _Sum.apply(square, ordered, (1 / len(ordered),) * len(ordered))
    return found


class _Sum(torch.autograd.Function):
    """`sum_w a_w exp(-d^2 / (2 w^2))`, whose derivative in `d^2` is one of the same kind."""

    @staticmethod
    def forward(
        context: Any, square: Tensor, widths: tuple[float, ...], weights: tuple[float, ...]
    ) -> Tensor:
        context.save_for_backward(square)
        context.widths, context.weights = widths, weights
        least = torch.finfo(square.dtype).tiny ** _SHARE
        kernel = _gaussian(square, widths[0], least)
        total = weights[0] * kernel
        for wide, narrow, weight in zip(widths[:-1], widths[1:], weights[1:], strict=True):
            doublings = 2 * math.log2(wide / narrow)
            if abs(doublings - round(doublings)) < 1e-12:
                for _ in range(round(doublings)):
                    kernel.clamp_(min=math.sqrt(least)).square_()
            else:
                kernel = _gaussian(square, narrow, least)
            total.add_(kernel, alpha=weight)
        return total

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (square,) = context.saved_tensors
        pairs = zip(context.widths, context.weights, strict=True)
        weights = tuple(-0.5 * weight / width**2 for width, weight in pairs)
        return gradients[0] * _Sum.apply(square, context.widths, weights), None, None


def _gaussian(square: Tensor, width: float, least: float) -> Tensor:
    return (square * (-0.5 / width**2)).clamp_(min=math.log(least)).exp_()
