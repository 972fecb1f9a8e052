"""Coarse fields without aliasing: the long waves of a periodic field on a coarser grid."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward import checks
from pushforward.errors import InputError
from pushforward.inverse.fourier import FourierRows
from pushforward.inverse.operator import LinearOperator, Shape
from pushforward.inverse.svd import SVD

__all__ = ["SpectralDownsample"]


class SpectralDownsample(LinearOperator):
    r"""The waves that a grid coarser by a factor resolves, on that grid: `(C, H, W)` to
    `(C, H / f, W / f)`, or signals `(n,)`.

    One object for data, guidance and metrics: `A x` makes the coarse field, `upsample` (`A^+ y`,
    the pseudo-inverse) brings it to the fine grid by its waves, and `low_pass` (`A^+ A x`) is what
    of a fine field the coarse one knows. `A^+ A` and `A A^+` are orthogonal projections, all
    singular values are alike, and the constraint `y = A x` is met exactly by `constrained`. Waves
    of exactly half the coarse grid, whose phase it would not see, are left out. Values keep their
    size: a constant stays what it is.

    Args:
        factor: a whole number, which divides the sizes.

    Raises `InputError` for sizes that are no multiples.

    >>> coarse = SpectralDownsample(2)
    >>> x = torch.cos(2 * math.pi * torch.arange(8) / 8).expand(1, 8)
    >>> coarse(x).round(decimals=4) + 0.0, torch.allclose(coarse.low_pass(x), x, atol=1e-6)
    (tensor([[ 1.,  0., -1.,  0.]]), True)
    """

    def __init__(self, factor: int) -> None:
        self.factor = checks.whole("factor", factor)

    def observed_shape(self, event_shape: Shape) -> Shape:
        """The sizes over the factor."""
        axes = self._axes(event_shape)
        sizes = event_shape[-axes:]
        for size in sizes:
            if size % self.factor:
                raise InputError(
                    f"an axis of {size} cells is no multiple of the factor {self.factor}: cut it "
                    f"to {size - size % self.factor} cells, or take a factor that divides it"
                )
        return (*event_shape[:-axes], *(size // self.factor for size in sizes))

    def __call__(self, x: Tensor) -> Tensor:
        """The coarse fields."""
        shape = tuple(x.shape[1:])
        return self._resampled(x, self.observed_shape(shape)[-self._axes(shape) :])

    def adjoint(self, u: Tensor, event_shape: Shape) -> Tensor:
        """The waves on the fine grid, over the number of fine cells in a coarse one."""
        return self.upsample(u, event_shape) / self.factor ** self._axes(event_shape)

    def upsample(self, y: Tensor, event_shape: Shape) -> Tensor:
        """`A^+ y`: the coarse fields by their waves on the fine grid, `(B, *event_shape)`."""
        if tuple(y.shape[1:]) != self.observed_shape(event_shape):
            raise InputError(
                f"coarse fields of {tuple(y.shape[1:])} do not make fields of {event_shape}"
            )
        return self._resampled(y, event_shape[-self._axes(event_shape) :])

    def pseudo_inverse(self, y: Tensor, event_shape: Shape) -> Tensor:
        """`upsample`."""
        return self.upsample(y, event_shape)

    def low_pass(self, x: Tensor) -> Tensor:
        """`A^+ A x`: the fields without the waves that the coarse grid does not resolve."""
        return self.upsample(self(x), tuple(x.shape[1:]))

    def constrained(self, x: Tensor, y: Tensor) -> Tensor:
        """`x + A^+ (y - A x)`: of the fields whose coarse ones are `y`, the nearest to `x`.

        Of `y` counts what a coarse field can be.
        """
        return x + self.upsample(y - self(x), tuple(x.shape[1:]))

    def svd(self, event_shape: Shape) -> SVD:
        """All singular values are the root of coarse over fine cells; `U` are the waves of the
        coarse grid."""
        axes, shape = self._axes(event_shape), self.observed_shape(event_shape)
        grids = [_kept(size, size) for size in shape[-axes:]]
        mask = grids[0] if axes == 1 else grids[0][:, None] & grids[1]
        waves = FourierRows(mask)
        scale = self.factor ** (-axes / 2)
        rank = math.prod(waves.observed_shape(shape))

        def left(y: Tensor) -> Tensor:
            return waves(y).flatten(1)

        def from_left(a: Tensor) -> Tensor:
            return waves.adjoint(a.reshape(len(a), *waves.observed_shape(shape)), shape)

        return SVD(
            values=torch.full((rank,), scale, dtype=torch.float64),
            left=left,
            from_left=from_left,
            right=lambda x: left(self(x)) / scale,
            from_right=lambda a: self.adjoint(from_left(a), event_shape) / scale,
        )

    def _resampled(self, x: Tensor, sizes: Shape) -> Tensor:
        """The waves that both grids resolve, on a grid of other sizes."""
        axes = tuple(range(-len(sizes), 0))
        waves = torch.fft.fftn(x, dim=axes, norm="forward")
        for axis, size in zip(axes, sizes, strict=True):
            waves = _moved(waves, axis, size)
        return torch.fft.ifftn(waves, dim=axes, norm="forward").real

    def _axes(self, event_shape: Shape) -> int:
        if not event_shape:
            raise InputError("a field has shape (C, H, W) and a signal (n,)")
        return min(2, len(event_shape))


def _kept(size: int, coarse: int) -> Tensor:
    """Which waves of a grid a coarse one resolves."""
    return 2 * torch.fft.fftfreq(size, 1 / size).round().abs() < coarse


def _moved(waves: Tensor, axis: int, size: int) -> Tensor:
    """Waves along an axis at their places on a grid of another size, zero where there are none."""
    least = min(size, waves.shape[axis])
    number = (least - 1) // 2
    shape = list(waves.shape)
    shape[axis] = size
    out = waves.new_zeros(shape)
    out.narrow(axis, 0, number + 1).copy_(waves.narrow(axis, 0, number + 1))
    if number:
        start = waves.shape[axis] - number
        out.narrow(axis, size - number, number).copy_(waves.narrow(axis, start, number))
    return out
