"""A force that is white in time and stirs eddies of one size."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward._random import uniform
from pushforward.checks import number, positive
from pushforward.fluids.periodic_grid import PeriodicGrid

__all__ = ["RingForcing"]


@dataclass(frozen=True)
class RingForcing:
    r"""Kicks of the vorticity with a spectrum `exp(-(k - k_f)^2 / (2 delta^2))` and random phases.

    In a time `h` all kicks together give the flow the energy `power h` on average.

    Args:
        power: the energy given per unit time, `epsilon`; zero for none.
        wavenumber: `k_f`.
        width: `delta`.

    Raises `InputError` for a power below zero, and sizes that are not positive.
    """

    power: float = 0.1
    wavenumber: float = 3.0
    width: float = 2.0

    def __post_init__(self) -> None:
        number("power", self.power, least=0)
        positive("wavenumber", self.wavenumber)
        positive("width", self.width)

    def amplitude(self, grid: PeriodicGrid) -> Tensor:
        """The modulus of each mode of a kick per square root of time, `(n, columns)`."""
        apart = grid.k2.sqrt() - self.wavenumber
        spectrum = grid.kept * (-apart.square() / (2 * self.width**2)).exp() * (grid.k2 > 0)
        # The energy of a kick is half the mean of its squared velocity.
        energy = float((grid.weight * spectrum * grid.inverse).sum()) / 2
        return (spectrum * (self.power / energy)).sqrt()

    @staticmethod
    def kick(
        amplitude: Tensor, grid: PeriodicGrid, length: float, generator: torch.Generator
    ) -> Tensor:
        """What a time step of some `length` adds to the spectrum of the vorticity."""
        drawn = uniform(tuple(amplitude.shape), generator, dtype=grid.dtype, device=grid.device)
        angle = 2 * math.pi * drawn
        # A real field has conjugates at opposite wavenumbers, of which the first column holds both.
        half = grid.n // 2
        angle[half + 1 :, 0] = -angle[1 : grid.n - half, 0].flip(0)
        return torch.polar(math.sqrt(length) * amplitude, angle)
