"""A square of side `2 pi` with periodic edges, and its wavenumbers."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.checks import whole

__all__ = ["PeriodicGrid"]


class PeriodicGrid:
    r"""`n` points a side of `[-pi, pi)^2`, axes `(y, x)`; spectra are those of `torch.fft.rfft2`.

    Products of two fields with wavenumbers below `n / 3` are exact at these, and so all spectra
    are cut there (the 2/3 rule, Orszag 1971).

    Args:
        n: points a side, at least 8.
        dtype: of fields.
        device: of all tensors.

    >>> grid = PeriodicGrid(8)
    >>> grid.axis[:2], int(grid.kept.sum())
    (tensor([-3.1416, -2.3562], dtype=torch.float64), 15)
    """

    def __init__(
        self,
        n: int,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        self.n = whole("n", n, least=8)
        self.dtype, self.device = dtype, torch.device(device)
        counted = torch.arange(n, dtype=dtype, device=self.device)
        self.axis = -math.pi + 2 * math.pi / n * counted
        self.ky = torch.where(counted < n / 2, counted, counted - n)[:, None]
        self.kx = counted[None, : n // 2 + 1]
        self.k2 = self.kx.square() + self.ky.square()
        self.inverse = torch.where(self.k2 > 0, 1 / self.k2.clamp_min(1), 0.0)
        """`1 / k^2`, and zero at the mean."""
        self.kept = ((self.kx.abs() < n / 3) & (self.ky.abs() < n / 3)).to(dtype)
        # Modes of the half plane that stand for two, themselves and their conjugates.
        twice = (self.kx > 0) & (self.kx < n / 2)
        self.weight = torch.where(twice, 2.0, 1.0).to(dtype) / float(n) ** 4

    def mean_square(self, spectrum: Tensor) -> Tensor:
        """`<f^2>` of fields from their spectra `(..., n, n // 2 + 1)`, by Parseval; `(...)`.

        >>> grid = PeriodicGrid(16)
        >>> float(grid.mean_square(torch.fft.rfft2(grid.axis.sin().expand(16, 16))))
        0.5
        """
        return (self.weight * (spectrum.real.square() + spectrum.imag.square())).sum((-2, -1))

    def spectrum(self, field: Tensor) -> Tensor:
        """The spectrum of fields `(..., n, n)`, cut."""
        return self.kept * torch.fft.rfft2(field.to(self.device, self.dtype))

    def field(self, spectrum: Tensor) -> Tensor:
        """Fields `(..., n, n)` of spectra."""
        return torch.fft.irfft2(spectrum, s=(self.n, self.n))
