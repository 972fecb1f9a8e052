"""Blur by a picture of taps, on a periodic grid."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.inverse.fourier import FourierRows, complex_parts, real_parts
from pushforward.inverse.operator import LinearOperator, Shape
from pushforward.inverse.svd import SVD

__all__ = ["Convolution"]


class Convolution(LinearOperator):
    r"""The periodic convolution `sum_k kernel[k] x[p - k]` of each channel of a picture.

    In the Fourier domain it is a product, so that operator, transpose and singular values, the
    moduli of the transformed kernel, all cost a fast Fourier transform.

    Args:
        kernel: odd numbers of taps `(h, w)`, the middle one on the pixel itself: a point spread
            function, such as that of motion.

    Raises `InputError` for another kernel, and one that is larger than the picture.

    >>> shift = Convolution(torch.tensor([[0.0, 0.0, 1.0]]))
    >>> shift(torch.tensor([[[[1.0, 2.0, 3.0]]]])).round()
    tensor([[[[3., 1., 2.]]]])
    """

    def __init__(self, kernel: Tensor) -> None:
        if (
            not isinstance(kernel, Tensor)
            or kernel.ndim != 2
            or not all(n % 2 for n in kernel.shape)
        ):
            raise InputError(f"a kernel has odd numbers of taps (h, w), not {kernel!r}")
        if not kernel.is_floating_point() or not bool(kernel.isfinite().all()):
            raise InputError("the taps of a kernel are finite real numbers")
        self.kernel = kernel

    def observed_shape(self, event_shape: Shape) -> Shape:
        """That of the picture."""
        self._transfer(event_shape)
        return event_shape

    def __call__(self, x: Tensor) -> Tensor:
        """The filtered pictures."""
        return self._filtered(x, self._transfer(tuple(x.shape[1:])))

    def adjoint(self, u: Tensor, event_shape: Shape) -> Tensor:
        """The correlation, by the conjugate in the Fourier domain."""
        return self._filtered(u, self._transfer(event_shape).conj())

    def svd(self, event_shape: Shape) -> SVD:
        """`V` is the real Fourier basis, and `U` that basis with each pair of waves turned by the
        phase of the kernel."""
        transfer = self._transfer(event_shape)
        basis = FourierRows(torch.ones(transfer.shape, dtype=torch.bool))
        half, shape = basis.half(event_shape), basis.observed_shape(event_shape)
        chosen = transfer.flatten()[half.first]
        size = torch.cat([chosen.abs(), chosen.abs()[half.paired]]).expand(shape).flatten()
        phase = torch.where(chosen.abs() > 0, chosen / chosen.abs(), 1.0)
        kept = size > size.max() * math.prod(event_shape) * torch.finfo(torch.float32).eps

        def turned(a: Tensor, phase: Tensor) -> Tensor:
            values = complex_parts(a, half.paired)
            return real_parts(values * phase.to(values), half.paired)

        def whole(a: Tensor) -> Tensor:
            out = a.new_zeros(len(a), len(kept))
            out[:, kept] = a
            return out.reshape(len(a), *shape)

        return SVD(
            values=size[kept],
            left=lambda y: turned(basis(y), phase.conj()).flatten(1)[:, kept],
            from_left=lambda a: basis.adjoint(turned(whole(a), phase), event_shape),
            right=lambda x: basis(x).flatten(1)[:, kept],
            from_right=lambda a: basis.adjoint(whole(a), event_shape),
        )

    def _filtered(self, x: Tensor, transfer: Tensor) -> Tensor:
        found = torch.fft.fft2(x) * transfer.to(x.device)
        return torch.fft.ifft2(found).real.to(x.dtype)

    def _transfer(self, event_shape: Shape) -> Tensor:
        """The transformed kernel, `(H, W)`, with its middle at the origin."""
        size, taps = event_shape[-2:], self.kernel.shape
        if len(event_shape) < 2 or any(n > most for n, most in zip(taps, size, strict=True)):
            raise InputError(
                f"a kernel of {taps[0]} x {taps[1]} taps does not fit states of shape {event_shape}"
            )
        padded = torch.zeros(size, dtype=torch.float64, device=self.kernel.device)
        padded[: taps[0], : taps[1]] = self.kernel
        return torch.fft.fft2(padded.roll((-(taps[0] // 2), -(taps[1] // 2)), (0, 1)))
