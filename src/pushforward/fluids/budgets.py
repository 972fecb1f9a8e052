"""Energy, enstrophy and moisture of a flow, and what each gains and loses per unit time."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from pushforward.fluids.moist_flow import MoistFlow
from pushforward.fluids.periodic_grid import PeriodicGrid

__all__ = ["FluidState", "fluid_state"]


class FluidState(NamedTuple):
    r"""Means over the square, `(...)` for spectra `(..., 2, n, columns)`.

    Between kicks `dE/dt = -2 mu E - viscous`, the same for the enstrophy, and
    `d<c>/dt = e - condensation`.

    Args:
        energy: `<u^2 + v^2> / 2`.
        viscous: the energy that hyperviscosity takes.
        enstrophy: `<zeta^2> / 2`.
        enstrophy_viscous: what hyperviscosity takes of it.
        moisture: `<c>`.
        condensation: `<c^+> / tau`.
    """

    energy: Tensor
    viscous: Tensor
    enstrophy: Tensor
    enstrophy_viscous: Tensor
    moisture: Tensor
    condensation: Tensor


def fluid_state(y: Tensor, flow: MoistFlow, grid: PeriodicGrid) -> FluidState:
    """What the budgets are made of.

    >>> import torch
    >>> grid, still = PeriodicGrid(8), torch.zeros(2, 8, 3, dtype=torch.complex128)
    >>> fluid_state(still, MoistFlow.published(8), grid).energy
    tensor(0., dtype=torch.float64)
    """
    vorticity, moisture = y[..., 0, :, :], y[..., 1, :, :]
    hyper = (flow.viscosity * grid.k2**4).sqrt()
    speed = grid.inverse.sqrt() * vorticity
    condensed = grid.field(moisture).clamp_min(0).mean((-2, -1)) / flow.condensation_time
    return FluidState(
        grid.mean_square(speed) / 2,
        grid.mean_square(hyper * speed),
        grid.mean_square(vorticity) / 2,
        grid.mean_square(hyper * vorticity),
        moisture[..., 0, 0].real / grid.n**2,
        condensed,
    )
