r"""Spectra of fields: how much of the variance lies at which wavenumber.

The energy of shell `k` is the sum of `|u_hat|^2 / 2` over the waves with a number from `k` to below
`k + 1`, in waves per domain, so that the shells of a field sum to half its mean square (Parseval).
Averages over a shell would not, and where they are flat the sum grows with `k`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward._precision import in_double
from pushforward.errors import InputError
from pushforward.metrics.block_bootstrap import block_means

__all__ = [
    "SpectralRatio",
    "energy_spectrum",
    "last_wavenumber",
    "ratio_of_energies",
    "spectral_ratio",
]

_EMPTY = 1e-9
"""Of the energy of deviations: wavenumbers with less are empty, such as those that a solver without
aliasing cuts off, and hold rounding alone."""


def energy_spectrum(x: Tensor, *, window: bool = False) -> Tensor:
    r"""The energy of fields by wavenumber, `(*, H, W)` or signals `(*, n)` with one more axis than
    batch and channel, to `(N, C, K)` in float64.

    Shell 0 holds the mean. Shells from `min(H, W) / 2` on are the corners of the grid, which no
    circle of waves fills: leave them out of ratios.

    Args:
        x: `(N, C, H, W)` or `(N, C, n)`, on a periodic domain.
        window: multiply by a Hann window first, for fields that are not periodic, whose edges
            otherwise spread over all wavenumbers; the energy is that of the windowed deviations
            from the mean, over the mean square of the window.

    Raises `InputError` for other shapes, NaN or infinity.

    >>> u = torch.cos(2 * math.pi * 3 * torch.arange(16) / 16)
    >>> energy_spectrum(u.expand(1, 1, 16, 16))[0, 0, :5].round(decimals=6) + 0.0
    tensor([0.0000, 0.0000, 0.0000, 0.2500, 0.0000], dtype=torch.float64)
    """
    if x.ndim not in (3, 4):
        raise InputError(f"fields have shape (N, C, H, W) or (N, C, n), not {tuple(x.shape)}")
    if not bool(x.isfinite().all()):
        raise InputError("fields with NaN or infinity have no spectrum: fill masked cells in")
    x, axes = in_double(x), tuple(range(2, x.ndim))
    sizes = tuple(x.shape[2:])
    if window:
        taper = x.new_ones(())
        for size in sizes:
            one = torch.hann_window(size, periodic=False, dtype=x.dtype, device=x.device)
            taper = taper.unsqueeze(-1) * one
        x = (x - x.mean(axes, keepdim=True)) * taper / taper.square().mean().sqrt()
    waves = torch.fft.fftn(x, dim=axes, norm="forward")
    energy = 0.5 * (waves.real.square() + waves.imag.square())
    shells = _shells(sizes).to(x.device)
    out = energy.new_zeros(*x.shape[:2], int(shells.max()) + 1)
    return out.index_add_(2, shells, energy.flatten(2))


def last_wavenumber(energy: Tensor, sizes: tuple[int, ...]) -> int:
    """The last wavenumber below half of a grid in which fields have more than a billionth of the
    energy of their deviations from the mean: the last that a ratio of spectra is made of.

    Args:
        energy: `(N, C, K)`, of all variables that count.
        sizes: of the grid.

    >>> x = 300 + torch.cos(2 * math.pi * 3 * torch.arange(16) / 16).double()
    >>> last_wavenumber(energy_spectrum(x.expand(4, 1, 16, 16)), (16, 16))
    3
    """
    mean = energy.mean((0, 1))[1 : max(2, math.ceil(min(sizes) / 2))]
    there = (mean > _EMPTY * mean.sum()).nonzero()
    return 1 + int(there.max()) if len(there) else 1


@dataclass(frozen=True)
class SpectralRatio:
    """The logarithm of the ratio of two mean spectra, by channel and wavenumber.

    Args:
        log_ratio: `(C, K)`, of the wavenumbers `1..K` below half of the grid.
        stderr: its standard error, by blocks of rows in time.
        draws: what it might have been, `(resamples, C, K)`.
    """

    log_ratio: Tensor
    stderr: Tensor
    draws: Tensor

    def distance(self, largest: int | None = None) -> Tensor:
        """The mean modulus up to a wavenumber, `(C,)`: zero for equal spectra, and above it by
        chance by about .8 standard errors."""
        return self.log_ratio[:, :largest].abs().mean(1)

    def distance_stderr(self, largest: int | None = None) -> Tensor:
        """The standard error of `distance`, `(C,)`, with what shells have in common: of fields with
        much energy all of them are high together. Linearized: signs are those that were found."""
        signs = self.log_ratio.sign()
        return (self.draws * signs)[..., :largest].mean(2).std(0)


def spectral_ratio(x: Tensor, y: Tensor, *, window: bool = False) -> SpectralRatio:
    """The mean spectrum of fields over that of others, with errors for rows in the order of time.

    Rows that remember each other count as fewer: errors are those of the block bootstrap of each
    side, `block_means`, which are those of independent rows where rows are.

    Args:
        x, y: `(N, C, *sizes)` and `(M, C, *sizes)`.
        window: as for `energy_spectrum`.

    Raises `InputError` for fields of other sizes, or fewer than four on a side.

    >>> g = torch.Generator().manual_seed(0)
    >>> x = torch.randn(200, 1, 8, 8, generator=g)
    >>> spectral_ratio(2 * x, x).log_ratio.round(decimals=4)  # twice log 2
    tensor([[1.3863, 1.3863, 1.3863]], dtype=torch.float64)
    """
    if x.shape[1:] != y.shape[1:]:
        raise InputError(
            f"spectra of {tuple(x.shape)} and {tuple(y.shape)} are not compared: give fields of "
            "one shape on each side"
        )
    energies = [energy_spectrum(side, window=window) for side in (x, y)]
    return ratio_of_energies(energies[0], energies[1], tuple(x.shape[2:]))


def ratio_of_energies(x: Tensor, y: Tensor, sizes: tuple[int, ...]) -> SpectralRatio:
    """`spectral_ratio` of energies that are known, `(N, C, K)` and `(M, C, K)`, of a grid of some
    sizes: of several members of each row, their mean.

    Raises `InputError` for fewer than four rows on a side.
    """
    if min(len(x), len(y)) < 4:
        raise InputError(
            f"{len(x)} and {len(y)} fields are too few for the error of a spectrum: give four or "
            "more on each side"
        )
    resolved = slice(1, max(2, math.ceil(min(sizes) / 2)))
    # Of each side with draws of its own: they are independent.
    means = [block_means(side[..., resolved], seed=k) for k, side in enumerate((x, y))]
    ratio = means[0].mean.log() - means[1].mean.log()
    errors = [(found.draws - found.mean) / found.mean for found in means]
    draws = ratio + errors[0] - errors[1]
    return SpectralRatio(ratio, draws.std(0), draws)


def _shells(sizes: tuple[int, ...]) -> Tensor:
    """The shell of each wave of a grid, flat."""
    square = torch.zeros(())
    for size in sizes:
        waves = torch.fft.fftfreq(size, 1 / size).round()
        square = square.unsqueeze(-1) + waves.square()
    # Squares of whole numbers are exact, and so are the roots of those that are squares.
    return square.double().sqrt().floor().long().flatten()
