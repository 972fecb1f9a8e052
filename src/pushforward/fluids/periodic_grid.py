"""A square of side `2 pi` with periodic edges, and its wavenumbers."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.checks import whole

__all__ = ["PeriodicGrid"]


class PeriodicGrid:
    r"""`n` points a side of `[-pi, pi)^2`, axes `(y, x)`, and spectra `(n, columns)`.

    Products of two fields with wavenumbers below `n / 3` are exact at these, and so all spectra
    are cut there (the 2/3 rule, Orszag 1971): they are those of `torch.fft.rfft2` without the
    columns beyond, and with zeros in the rows beyond.

    Args:
        n: points a side, at least 8.
        dtype: of fields.
        device: of all tensors.

    >>> grid = PeriodicGrid(8)
    >>> grid.axis[:2], grid.columns, int(grid.kept.sum())
    (tensor([-3.1416, -2.3562], dtype=torch.float64), 3, 15)
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
        self.columns = -(-n // 3)
        self.kx = counted[None, : self.columns]
        self.k2 = self.kx.square() + self.ky.square()
        self.inverse = torch.where(self.k2 > 0, 1 / self.k2.clamp_min(1), 0.0)
        """`1 / k^2`, and zero at the mean."""
        self.kept = (self.ky.abs() < n / 3).to(dtype).expand(n, self.columns)
        # Modes beyond the first column stand for two, themselves and their conjugates.
        self.weight = torch.where(self.kx > 0, 2.0, 1.0).to(dtype) / float(n) ** 4

    def mean_square(self, spectrum: Tensor) -> Tensor:
        """`<f^2>` of fields from their spectra `(..., n, columns)`, by Parseval; `(...)`.

        >>> grid = PeriodicGrid(16)
        >>> float(grid.mean_square(grid.spectrum(grid.axis.sin().expand(16, 16))))
        0.5
        """
        return (self.weight * (spectrum.real.square() + spectrum.imag.square())).sum((-2, -1))

    def transform(self, field: Tensor) -> Tensor:
        """The columns that are kept of the spectra of fields `(..., n, n)`, in all rows."""
        return torch.fft.fft(torch.fft.rfft(field)[..., : self.columns], dim=-2)

    def spectrum(self, field: Tensor) -> Tensor:
        """The spectra of fields `(..., n, n)`, `(..., n, columns)`."""
        return self.kept * self.transform(field.to(self.device, self.dtype))

    def field(self, spectrum: Tensor) -> Tensor:
        """Fields `(..., n, n)` of spectra `(..., n, columns)`."""
        return torch.fft.irfft(torch.fft.ifft(spectrum, dim=-2), n=self.n)
