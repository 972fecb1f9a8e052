"""Fewer pixels: the operator of super-resolution."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from pushforward import checks
from pushforward.errors import InputError
from pushforward.inverse.separable import SeparableOperator, filter_matrix

__all__ = ["Downsample"]


class Downsample(SeparableOperator):
    r"""Each axis of a picture, or of a signal, by a whole factor smaller.

    Args:
        factor: of both axes, or one each, rows first; the sizes are multiples of it.
        kernel: `box`, the mean of each block; `bicubic`, the antialiased one of Pillow and of
            `imresize` (Keys 1981, with `a = -1/2`, stretched by the factor and normalized where it
            leaves the picture); or taps `(k,)` of one axis, centered on each block, of a length
            that is odd or even as the factor is. Where taps leave the picture the nearest pixel
            counts.

    Super-resolution is only as right as its operator: take the one that made `y`. Raises
    `InputError` for sizes that are no multiples, and for other kernels.

    >>> Downsample(2)(torch.tensor([[1.0, 3.0, 5.0, 5.0]]))
    tensor([[2., 5.]])
    """

    def __init__(self, factor: int | tuple[int, int], kernel: str | Tensor = "box") -> None:
        both = factor if isinstance(factor, tuple | list) else (factor, factor)
        if len(both) != 2:
            raise InputError(f"a factor is one number, or one for rows and columns, not {factor!r}")
        self.factor = (checks.whole("factor", both[0]), checks.whole("factor", both[1]))
        if isinstance(kernel, Tensor):
            _check_taps(kernel, self.factor)
        elif kernel not in ("box", "bicubic"):
            raise InputError(f"the kernel is 'box', 'bicubic' or a tensor of taps, not {kernel!r}")
        self.kernel = kernel

    @property
    def disjoint_rows(self) -> bool:
        """Blocks share no pixels."""
        return isinstance(self.kernel, str) and self.kernel == "box"

    def along(self, size: int, axis: int) -> Tensor:
        """The kernel at each block."""
        factor = self.factor[axis]
        if size % factor:
            raise InputError(
                f"an axis of {size} pixels is no multiple of the factor {factor} that it is "
                "downsampled by"
            )
        starts = factor * torch.arange(size // factor)
        if isinstance(self.kernel, Tensor):
            ahead = (len(self.kernel) - factor) // 2
            return filter_matrix(self.kernel, starts - ahead, size, "replicate")
        if self.kernel == "box":
            return filter_matrix(torch.full((factor,), 1 / factor), starts, size, "zeros")
        return _bicubic(factor, size)


def _check_taps(kernel: Tensor, factor: tuple[int, int]) -> None:
    if kernel.ndim != 1 or not len(kernel) or not bool(kernel.isfinite().all()):
        raise InputError(f"the taps of a kernel are finite numbers (k,), not {kernel!r}")
    if any((len(kernel) - one) % 2 for one in factor):
        raise InputError(
            f"{len(kernel)} taps cannot be centered on blocks of {factor[0]} x {factor[1]}: take "
            "an odd number for an odd factor and an even one for an even factor"
        )


@functools.lru_cache(maxsize=64)
def _bicubic(factor: int, size: int) -> Tensor:
    """The bicubic kernel at each block, with weights that sum to one."""
    centers = factor * (torch.arange(size // factor, dtype=torch.float64) + 0.5)
    distance = (torch.arange(size, dtype=torch.float64) + 0.5 - centers[:, None]).abs() / factor
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    weights = torch.where(distance < 1, near, torch.where(distance < 2, far, 0.0))
    return weights / weights.sum(1, keepdim=True)
