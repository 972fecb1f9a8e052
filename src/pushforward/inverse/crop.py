"""A window of a picture or of a signal."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward import checks
from pushforward.errors import InputError
from pushforward.inverse.operator import Shape
from pushforward.inverse.selection import Selection

__all__ = ["Crop"]


class Crop(Selection):
    """A window of a picture `(C, H, W)`, `(C, height, width)`: what is around it is outpainted.

    Args:
        top: the first row.
        left: the first column.
        height: rows.
        width: columns.

    Raises `InputError` for a window that leaves the picture.

    >>> Crop(0, 1, 1, 2)(torch.arange(6.0).reshape(1, 1, 2, 3))
    tensor([[[[1., 2.]]]])
    """

    def __init__(self, top: int, left: int, height: int, width: int) -> None:
        self.top, self.left = checks.whole("top", top, 0), checks.whole("left", left, 0)
        self.height, self.width = checks.whole("height", height), checks.whole("width", width)

    def places(self, event_shape: Shape) -> Tensor:
        """Those of the window, `(C, height, width)`."""
        if len(event_shape) < 2:
            raise InputError(f"a crop takes pictures (C, H, W), not states of shape {event_shape}")
        high, wide = event_shape[-2:]
        bottom, right = self.top + self.height, self.left + self.width
        if bottom > high or right > wide:
            raise InputError(
                f"the window of rows {self.top} to {bottom} and columns {self.left} to {right} "
                f"leaves a picture of {high} x {wide}"
            )
        numbers = torch.arange(math.prod(event_shape)).reshape(event_shape)
        return numbers[..., self.top : bottom, self.left : right]
