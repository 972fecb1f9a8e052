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
        """A time step for `n` points a side that is stable at the usual speeds, with condensation:
        a whole part of the unit of time, so that frames can be that far apart.

        >>> MoistFlow.published(64).step_length(64), MoistFlow.published(64).step_length(128)
        (0.01, 0.005)
        """
        longest = min(self.condensation_time, 0.64 / n)
        # Rounding must not add a step.
        return 1 / math.ceil(1 / longest - 1e-9)


class Tendency:
    """The right-hand side without its linear damping, for spectra `(..., 2, n, columns)`.

    The advection of vorticity is the curl of the divergence of `(u, v)^2`, which takes the fewest
    transforms: eight. Derivatives of autograd do not go through it. Raises `InputError` for a
    context that the grid does not resolve.
    """

    def __init__(self, flow: MoistFlow, grid: PeriodicGrid) -> None:
        k, a = flow.context_wavenumber, flow.context_amplitude
        if a and k >= grid.n / 3:
            raise InputError(
                f"a grid of {grid.n} points has wavenumbers below {grid.n / 3:.3g}: it does not "
                f"resolve a context of wavenumber {k}"
            )
        self.flow, self.grid = flow, grid
        kx, ky, kept = grid.kx, grid.ky, grid.kept
        zero = torch.zeros_like(grid.k2)
        # Of the vorticity to both velocities, and of products to tendencies.
        self._velocity = torch.complex(
            torch.stack([zero, zero]), torch.stack([ky * grid.inverse, -kx * grid.inverse]) * kept
        )
        self._curl = (kept * (kx.square() - ky.square()) + 0j, kept * kx * ky + 0j)
        self._divergence = torch.complex(zero, -kept * kx), torch.complex(zero, -kept * ky)
        self._kept = kept + 0j
        x, y = grid.axis[None, :], grid.axis[:, None]
        self.context = a * (k * x).sin() * (k * y).sin()
        """`A sin(k x) sin(k y)`, `(n, n)`."""
        slopes = (k * x).cos() * (k * y).sin(), (k * x).sin() * (k * y).cos()
        self._slopes = [a * k * slope for slope in slopes] if a else []

    @property
    def damping(self) -> Tensor:
        """The linear part, by which both spectra decay: `(2, n, columns)`."""
        hyper = self.flow.viscosity * self.grid.k2**4
        return -torch.stack([hyper + self.flow.drag, hyper])

    def __call__(self, y: Tensor) -> Tensor:
        """The rest, of the shape of the spectra."""
        n, lead = self.grid.n, y.shape[:-3]
        # Written in place: what is small costs its calls, and what is large its copies.
        seen = y.new_empty(*lead, 3, n, self.grid.columns)
        torch.mul(y[..., :1, :, :], self._velocity, out=seen[..., :2, :, :])
        seen[..., 2, :, :] = y[..., 1, :, :]
        fields = self.grid.field(seen)
        u, v, c = fields.unbind(-3)
        products = fields.new_empty(*lead, 5, n, n)
        torch.mul(u, v, out=products[..., 0, :, :])
        torch.mul(v + u, v - u, out=products[..., 1, :, :])
        torch.mul(fields[..., :2, :, :], c.unsqueeze(-3), out=products[..., 2:4, :, :])
        source = products[..., 4, :, :]
        torch.clamp(c, min=0, out=source).mul_(-1 / self.flow.condensation_time)
        for speed, slope in zip((u, v), self._slopes, strict=False):
            source.addcmul_(speed, slope, value=-1)
        parts = self.grid.transform(products).unbind(-3)
        found = torch.empty_like(y)
        vorticity, moisture = found[..., 0, :, :], found[..., 1, :, :]
        torch.mul(parts[0], self._curl[0], out=vorticity).addcmul_(parts[1], self._curl[1])
        torch.mul(parts[4], self._kept, out=moisture)
        moisture.addcmul_(parts[2], self._divergence[0]).addcmul_(parts[3], self._divergence[1])
        # The mean of the gradient is carried towards the north.
        moisture.add_(seen[..., 1, :, :], alpha=-self.flow.gradient)
        moisture[..., 0, 0] += self.flow.evaporation * n**2
        return found
