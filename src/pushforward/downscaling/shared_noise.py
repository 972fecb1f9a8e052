"""The noise level at which fields of two distributions are alike, from their spectra."""

from __future__ import annotations

import math
from typing import NamedTuple

from torch import Tensor

from pushforward import checks
from pushforward.downscaling.debiasing import check_sides
from pushforward.errors import InputError
from pushforward.metrics import energy_spectrum
from pushforward.schedules import Schedule

__all__ = ["SharedNoise", "shared_noise"]

_ALIKE = math.log(2)
"""Logarithm of the ratio up to which two spectra count as alike."""


class SharedNoise(NamedTuple):
    """A time of a schedule, and the wavenumber that it was chosen by.

    Args:
        t: where noise has hidden all smaller scales.
        wavenumber: the last one that it leaves above itself.
    """

    t: float
    wavenumber: int


def shared_noise(
    source: Tensor,
    target: Tensor,
    schedule: Schedule,
    *,
    wavenumber: int | None = None,
    largest: int | None = None,
    window: bool = False,
) -> SharedNoise:
    r"""The time `t*` at which the noise is as strong as the target at a wavenumber.

    There `alpha^2 E(k) = sigma^2 E_noise(k)`, with the energies of the shell `k` of the target and
    of white noise of unit variance, means over the variables (Bischoff & Deck 2024). Below `k` the
    fields of both sides are seen through the noise, and agree; above it noise is all there is.

    Args:
        source: fields in the units of a model, `(N, C, H, W)`, on the fine grid.
        target: those of the target, `(M, C, H, W)`.
        schedule: of the noise.
        wavenumber: by default the last one before the spectra of the two sides differ by more than
            a factor of two in any variable, and at least 1.
        largest: the last wavenumber to choose by default, such as the last of a coarse grid: what
            its fields have above was put there on the way to the fine one.
        window: of domains that are not periodic (`energy_spectrum`).

    Raises `InputError` for sides that do not fit, a wavenumber that the grid does not resolve, and
    a target that has no energy there.

    >>> import torch
    >>> from pushforward.schedules import VP
    >>> g = torch.Generator().manual_seed(0)
    >>> x = torch.randn(100, 1, 16, 16, generator=g)
    >>> found = shared_noise(x, x, VP())  # white, as the noise is: alpha = sigma
    >>> found.wavenumber, round(float(VP().log_snr(found.t)), 1)
    (7, 0.0)
    """
    check_sides(source, target)
    last = math.ceil(min(target.shape[2:]) / 2) - 1
    energies = [
        energy_spectrum(side, window=window)[..., : last + 1].mean(0) for side in (source, target)
    ]
    if wavenumber is None:
        gap = (energies[0].log() - energies[1].log()).abs().amax(0)[1:]
        alike = (gap <= _ALIKE).long().cumprod(0)  # zero from the first that differs; NaN too
        k = max(1, min(int(alike.sum()), last if largest is None else largest))
    else:
        k = checks.whole("wavenumber", wavenumber)
    if not 1 <= k <= last:
        raise InputError(f"a grid of {tuple(target.shape[2:])} cells resolves 1 to {last}, not {k}")
    white = target.new_zeros(1, 1, *target.shape[2:])
    white[0, 0, 0, 0] = math.sqrt(white.numel())  # a point: all waves alike, of unit variance
    level = energies[1][:, k] / energy_spectrum(white)[0, 0, k]
    # Rounding of single precision leaves about 1e-14 of the rest.
    if not bool((energies[1][:, k] > 1e-12 * energies[1].sum(1)).all()):
        raise InputError(f"the target has no energy at wavenumber {k}: give a smaller wavenumber=")
    found = schedule.time_at_log_snr(-level.mean().log().reshape(1))
    return SharedNoise(min(max(float(found), schedule.t_min), schedule.t_max), k)
