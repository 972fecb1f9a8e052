"""Some frequencies of a picture or of a signal: what magnetic resonance and interferometers see."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward import checks
from pushforward.errors import InputError
from pushforward.inverse.operator import LinearOperator, Shape
from pushforward.inverse.svd import SVD

__all__ = ["FourierRows", "complex_parts", "real_parts"]


class _Half(NamedTuple):
    """The frequencies that are kept, one of each pair `k, -k`, by their place in the flat grid."""

    first: Tensor
    """The one of the pair that comes first, or the frequency that is its own partner."""
    partner: Tensor
    paired: Tensor
    """Where both differ: only there is an imaginary part."""


class FourierRows(LinearOperator):
    r"""Frequencies of the orthonormal discrete Fourier transform, as real numbers, `(C, k)`.

    The transform of a real picture has conjugate values at `f` and `-f`. Of each such pair that is
    kept, `sqrt(2) Re` and `sqrt(2) Im` are measured once; of a frequency that is its own partner,
    the value itself. So the rows are orthonormal, `A A^T = 1`, and white noise is white: all real
    parts of a channel come first, in the order of the grid, then the imaginary ones.

    Args:
        frequencies: a mask `(H, W)`, or `(n,)` for signals, in the layout of `torch.fft.fft2`, the
            mean first; a frequency counts as kept if its partner is. Or a whole number: all
            frequencies up to it along each axis.

    Raises `InputError` for other masks, and for states of other sizes.

    >>> y = FourierRows(0)(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
    >>> y, FourierRows(0).adjoint(y, (4,))
    (tensor([[5.]]), tensor([[2.5000, 2.5000, 2.5000, 2.5000]]))
    """

    def __init__(self, frequencies: int | Tensor) -> None:
        if not isinstance(frequencies, Tensor) or frequencies.ndim == 0:
            self.frequencies: int | Tensor = checks.whole("frequencies", frequencies, 0)
            return
        if not bool(((frequencies == 0) | (frequencies == 1)).all()) or frequencies.ndim > 2:
            raise InputError(
                "frequencies are a mask (H, W) or (n,) of zeros and ones, or the largest frequency"
            )
        if not bool(frequencies.any()):
            raise InputError("the mask keeps no frequency: 1 (True) stands for what was measured")
        self.frequencies = frequencies.bool()

    def observed_shape(self, event_shape: Shape) -> Shape:
        """`(C, k)` of pictures, `(k,)` of signals."""
        half = self.half(event_shape)
        channels = event_shape[: -self._axes(event_shape)]
        return (*channels, len(half.first) + int(half.paired.sum()))

    def __call__(self, x: Tensor) -> Tensor:
        """The real and imaginary parts of the frequencies of each row."""
        half = self.half(tuple(x.shape[1:]))
        axes = self._axes(tuple(x.shape[1:]))
        found = torch.fft.fftn(x, dim=tuple(range(-axes, 0)), norm="ortho").flatten(-axes)
        return real_parts(found[..., half.first], half.paired)

    def adjoint(self, u: Tensor, event_shape: Shape) -> Tensor:
        """The picture whose other frequencies are zero."""
        half, axes = self.half(event_shape), self._axes(event_shape)
        sizes = event_shape[-axes:]
        kept = complex_parts(u, half.paired)
        spectrum = kept.new_zeros(*kept.shape[:-1], math.prod(sizes))
        spectrum[..., half.first] = kept
        spectrum[..., half.partner] = torch.where(half.paired, kept.conj(), kept)
        found = torch.fft.ifftn(
            spectrum.unflatten(-1, sizes), dim=tuple(range(-axes, 0)), norm="ortho"
        )
        return found.real

    def svd(self, event_shape: Shape) -> SVD:
        """All singular values are one."""
        shape = self.observed_shape(event_shape)
        return SVD(
            values=torch.ones(math.prod(shape)),
            left=lambda y: y.flatten(1),
            from_left=lambda a: a.reshape(len(a), *shape),
            right=lambda x: self(x).flatten(1),
            from_right=lambda a: self.adjoint(a.reshape(len(a), *shape), event_shape),
        )

    def half(self, event_shape: Shape) -> _Half:
        """The frequencies that are kept."""
        sizes = event_shape[-self._axes(event_shape) :]
        if isinstance(self.frequencies, int):
            return _low(self.frequencies, sizes)
        if tuple(self.frequencies.shape) != sizes:
            raise InputError(
                f"a mask of {tuple(self.frequencies.shape)} frequencies does not fit states of "
                f"shape {event_shape}"
            )
        return _half(self.frequencies)

    def _axes(self, event_shape: Shape) -> int:
        """How many axes are transformed: two of a picture, one of a signal."""
        if not event_shape:
            raise InputError("a picture has shape (C, H, W) and a signal (n,)")
        return min(2, len(event_shape))


def complex_parts(u: Tensor, paired: Tensor) -> Tensor:
    """The values of the frequencies from their real numbers, `(..., k)`."""
    real, rest = u[..., : len(paired)], u[..., len(paired) :]
    imaginary = torch.zeros_like(real)
    imaginary[..., paired] = rest
    return torch.complex(real, imaginary) / _weights(paired, u)


def real_parts(values: Tensor, paired: Tensor) -> Tensor:
    """The inverse of `complex_parts`."""
    real = values.real * _weights(paired, values.real)
    return torch.cat([real, values.imag[..., paired] * math.sqrt(2)], -1)


def _weights(paired: Tensor, like: Tensor) -> Tensor:
    """What makes a pair of frequencies as long as a single one."""
    return paired.to(like).mul(math.sqrt(2) - 1).add(1)


@functools.lru_cache(maxsize=64)
def _low(most: int, sizes: Shape) -> _Half:
    near = [torch.fft.fftfreq(n, 1 / n).round().abs() <= most for n in sizes]
    return _half(near[0] if len(near) == 1 else near[0][:, None] & near[1])


def _half(mask: Tensor) -> _Half:
    places = torch.arange(mask.numel()).reshape(mask.shape)
    turned = places
    for axis in range(mask.ndim):
        turned = turned.flip(axis).roll(1, axis)
    partner, kept = turned.flatten(), mask.flatten().cpu()
    kept = kept | kept[partner]
    first = places.flatten()[kept & (places.flatten() <= partner)]
    return _Half(first, partner[first], partner[first] != first)
