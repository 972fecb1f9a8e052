"""Convolutions on grids whose ends may meet, and where on them a cell is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from pushforward.errors import InputError

__all__ = ["GridConvolution", "around", "both_axes", "grid_positions"]


class GridConvolution(nn.Conv2d):
    """A 3 x 3 convolution that continues a picture beyond its ends, each axis in its own way.

    Args:
        inputs, outputs: channels.
        periodic: whether rows, and columns, go on at the other end; zeros otherwise.
        stride: 2 halves the resolution.

    With both axes periodic it commutes with shifts by multiples of the stride.

    >>> layer = GridConvolution(1, 1, (True, True))
    >>> x = torch.randn(1, 1, 4, 6, generator=torch.Generator().manual_seed(0))
    >>> torch.allclose(layer(x.roll(2, -1)), layer(x).roll(2, -1), atol=1e-6)
    True
    """

    def __init__(
        self, inputs: int, outputs: int, periodic: tuple[bool, bool], stride: int = 1
    ) -> None:
        # The padding of the base class would be the same on both axes.
        super().__init__(inputs, outputs, 3, stride=stride, padding=0 if any(periodic) else 1)
        self.periodic = periodic

    def forward(self, input: Tensor) -> Tensor:
        """Channels on the same grid, or on every other cell."""
        if not any(self.periodic):
            return super().forward(input)
        return super().forward(around(input, (1, 1, 1, 1), self.periodic))


def around(x: Tensor, cells: tuple[int, int, int, int], periodic: tuple[bool, bool]) -> Tensor:
    """Pictures with cells beyond their ends, `(left, right, above, below)`: those of the other end
    or zeros.

    >>> around(torch.tensor([[[[1.0, 2.0, 3.0]]]]), (1, 1, 0, 0), (False, True))
    tensor([[[[3., 1., 2., 3., 1.]]]])
    """
    left, right, above, below = cells
    for amounts, turns in (((left, right, 0, 0), periodic[1]), ((0, 0, above, below), periodic[0])):
        if any(amounts):
            x = pad(x, amounts, mode="circular" if turns else "constant")
    return x


def both_axes(periodic: Sequence[bool] | bool) -> tuple[bool, bool]:
    """Whether the ends of rows and of columns meet. Raises `InputError` for another number."""
    if isinstance(periodic, bool):
        return periodic, periodic
    found = tuple(map(bool, periodic)) or (False, False)
    if len(found) != 2:
        raise InputError(f"periodic says of rows and columns whether ends meet, not {periodic!r}")
    return found[0], found[1]


def grid_positions(
    height: int, width: int, periodic: tuple[bool, bool], like: Tensor | None = None
) -> Tensor:
    """Where cells are, `(P, H, W)`: sine and cosine along a periodic axis, -1 to 1 along another.
    In the precision and on the device of a tensor `like` it.

    >>> grid_positions(2, 4, (False, True)).shape
    torch.Size([3, 2, 4])
    """
    parts = []
    kind: dict[str, Any] = {} if like is None else {"dtype": like.dtype, "device": like.device}
    for axis, (size, turns) in enumerate(zip((height, width), periodic, strict=True)):
        if turns:
            angle = 2 * math.pi / size * torch.arange(size, **kind)
            lines = [angle.sin(), angle.cos()]
        else:
            lines = [torch.linspace(-1, 1, size, **kind) if size > 1 else torch.zeros(1, **kind)]
        shape = (size, 1) if axis == 0 else (1, size)
        parts += [line.reshape(shape).expand(height, width) for line in lines]
    return torch.stack(parts)
