r"""Two-dimensional turbulence that carries moisture: the model, and its spectral form.

The vorticity `zeta = laplace psi` with the velocity `(u, v) = (-psi_y, psi_x)`, and the
supersaturation `c`, negative where air could take up more vapor (Bischoff & Deck 2024):

    d zeta / dt + (u, v) . grad zeta = -mu zeta - nu (-laplace)^4 zeta + F,
    d c / dt + (u, v) . grad c = -(u, v) . grad q + e - c^+ / tau - nu (-laplace)^4 c,

with `q = gamma y + A sin(k x) sin(k y)`, the vapor that saturated air holds at each place. What is
above saturation condenses within the time `tau`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pushforward.checks import number, positive, whole
from pushforward.errors import InputError
from pushforward.fluids.periodic_grid import PeriodicGrid
from pushforward.fluids.ring_forcing import RingForcing

__all__ = ["MoistFlow", "Tendency", "published_viscosity"]

_VISCOSITIES = {32: 1e-6, 64: 1e-8, 128: 1e-12, 256: 1e-14, 512: 1e-16}


def published_viscosity(n: int) -> float:
    """The hyperviscosity of the published runs of `n` points a side.

    In between powers of two by interpolation of logarithms, and beyond them a hundredth for each
    doubling.

    >>> published_viscosity(64), published_viscosity(16), published_viscosity(1024)
    (1e-08, 0.0001, 1e-18)
    """
    sizes = sorted(_VISCOSITIES)
    if n <= sizes[0] or n >= sizes[-1]:
        end = sizes[0] if n <= sizes[0] else sizes[-1]
        power = math.log10(_VISCOSITIES[end]) - 2 * math.log2(n / end)
    else:
        above = next(size for size in sizes if size >= n)
        below = sizes[sizes.index(above) - 1]
        part = math.log2(n / below)
        logs = [math.log10(_VISCOSITIES[size]) for size in (below, above)]
        power = logs[0] + part * (logs[1] - logs[0])
    return float(f"{10**power:.6g}")


@dataclass(frozen=True)
class MoistFlow:
    """The numbers of the model, those of the published runs by default.

    Args:
        viscosity: `nu`, of the eighth power of the wavenumber, for vorticity and moisture.
        drag: `mu`.
        gradient: `gamma`, of saturation towards the north.
        evaporation: `e`.
        condensation_time: `tau`.
        context_amplitude: `A`.
        context_wavenumber: `k`.
        forcing: `F`.

    Raises `InputError` for numbers out of range.

    >>> MoistFlow.published(64).viscosity
    1e-08
    """

    viscosity: float
    drag: float = 1e-2
    gradient: float = 1.0
    evaporation: float = 1.0
    condensation_time: float = 1e-2
    context_amplitude: float = 0.0
    context_wavenumber: int = 1
    forcing: RingForcing = field(default_factory=RingForcing)

    def __post_init__(self) -> None:
        for name in ("viscosity", "drag"):
            number(name, getattr(self, name), least=0)
        for name in ("gradient", "evaporation", "context_amplitude"):
            number(name, getattr(self, name))
        positive("condensation_time", self.condensation_time)
        whole("context_wavenumber", self.context_wavenumber)

    @classmethod
    def published(cls, n: int, context_wavenumber: int | None = None) -> MoistFlow:
        """The published model of `n` points a side: a coarse one is a model of its own.

        Args:
            n: points a side.
            context_wavenumber: with the published amplitude 1; without, saturation has no waves.
        """
        whole("n", n, least=8)
        if context_wavenumber is None:
            return cls(published_viscosity(n))
        return cls(
            published_viscosity(n), context_amplitude=1.0, context_wavenumber=context_wavenumber
        )

    def step_length(self, n: int) -> float:
        """A time step for `n` points a side that is stable at the usual speeds, with condensation.

        >>> MoistFlow.published(64).step_length(64), MoistFlow.published(64).step_length(128)
        (0.01, 0.005)
        """
        return min(self.condensation_time, 0.64 / n)


class Tendency:
    """The right-hand side without its linear damping, for spectra `(..., 2, n, n // 2 + 1)`.

    The advection of vorticity is the curl of the divergence of `(u, v)^2`, which takes the fewest
    transforms: eight. Raises `InputError` for a context that the grid does not resolve.
    """

    def __init__(self, flow: MoistFlow, grid: PeriodicGrid) -> None:
        if flow.context_amplitude and flow.context_wavenumber >= grid.n / 3:
            raise InputError(
                f"a grid of {grid.n} points has wavenumbers below {grid.n / 3:.3g}: it does not "
                f"resolve a context of wavenumber {flow.context_wavenumber}"
            )
        self.flow, self.grid = flow, grid
        kx, ky, kept = grid.kx, grid.ky, grid.kept
        zero = torch.zeros_like(grid.k2)
        ones = torch.ones_like(grid.k2)
        velocity = torch.stack(
            [torch.complex(zero, ky * grid.inverse), torch.complex(zero, -kx * grid.inverse)]
        )
        self._to_grid = torch.cat([velocity, torch.complex(ones, zero)[None]]) * kept
        self._vorticity = torch.stack([kept * (kx.square() - ky.square()), kept * kx * ky])
        self._moisture = torch.complex(
            torch.stack([zero, zero, kept]), torch.stack([-kept * kx, -kept * ky, zero])
        )
        # The mean of the gradient is carried towards the north.
        self._carried = -flow.gradient * velocity[1] * kept
        self._source = flow.evaporation * grid.n**2
        x, y = grid.axis[None, :], grid.axis[:, None]
        k, a = flow.context_wavenumber, flow.context_amplitude
        self.context = a * (k * x).sin() * (k * y).sin()
        """`A sin(k x) sin(k y)`, `(n, n)`."""
        self._slope = (
            torch.stack(
                [a * k * (k * x).cos() * (k * y).sin(), a * k * (k * x).sin() * (k * y).cos()]
            )
            if a
            else None
        )

    @property
    def damping(self) -> Tensor:
        """The linear part, by which both spectra decay: `(2, n, n // 2 + 1)`."""
        hyper = self.flow.viscosity * self.grid.k2**4
        return -torch.stack([hyper + self.flow.drag, hyper])

    def __call__(self, y: Tensor) -> Tensor:
        """The rest, of the shape of the spectra."""
        seen = torch.stack([y[..., 0, :, :], y[..., 0, :, :], y[..., 1, :, :]], -3)
        u, v, c = self.grid.field(seen * self._to_grid).unbind(-3)
        condensed = c.clamp_min(0) * (-1 / self.flow.condensation_time)
        if self._slope is not None:
            condensed = condensed - u * self._slope[0] - v * self._slope[1]
        products = torch.stack([u * v, v * v - u * u, u * c, v * c, condensed], -3)
        found = torch.fft.rfft2(products)
        vorticity = (self._vorticity * found[..., :2, :, :]).sum(-3)
        moisture = (self._moisture * found[..., 2:, :, :]).sum(-3)
        moisture = moisture + self._carried * y[..., 0, :, :]
        moisture[..., 0, 0] += self._source
        return torch.stack([vorticity, moisture], -3)
