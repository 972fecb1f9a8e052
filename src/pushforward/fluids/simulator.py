"""The flow in time: kicks of the force, and steps between them."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward import checks
from pushforward._random import derived_seed
from pushforward.errors import InputError, SamplingError
from pushforward.fluids.integrating_factor import IntegratingFactor
from pushforward.fluids.moist_flow import MoistFlow, Tendency
from pushforward.fluids.periodic_grid import PeriodicGrid

__all__ = ["FluidSimulator"]


class FluidSimulator:
    """Vorticity and supersaturation of a moist flow, from rest.

    Each step begins with a kick of the force, whose noise follows from the seed and the number of
    the step alone: a state, its step and the seed are all that a simulation goes on from.

    Args:
        n: points a side, at least 8.
        flow: the model; the published one of this size by default.
        step: the length of a time step; one that is stable by default.
        seed: of the force.
        dtype: of fields, double precision by default.
        device: where it runs.

    Raises `InputError` for numbers out of range.

    >>> fluid = FluidSimulator(16, seed=0)
    >>> y = fluid.advance(fluid.rest(), 0, 100)
    >>> fluid.fields(y).shape
    torch.Size([2, 16, 16])
    """

    names = ("vorticity", "supersaturation")

    def __init__(
        self,
        n: int,
        flow: MoistFlow | None = None,
        *,
        step: float | None = None,
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        self.grid = PeriodicGrid(n, dtype=dtype, device=device)
        self.flow = flow or MoistFlow.published(n)
        self.step = checks.positive("step", step or self.flow.step_length(n))
        self.seed = checks.seed("seed", seed)
        tendency = Tendency(self.flow, self.grid)
        self.context = tendency.context
        # Of real and imaginary parts alike: products with real numbers are cheaper.
        damping = tendency.damping.repeat_interleave(2, -1).unflatten(-1, (-1, 2))

        def rest(y: Tensor) -> Tensor:
            return torch.view_as_real(tendency(torch.view_as_complex(y)))

        self._advance = IntegratingFactor(damping, rest, self.step)
        self._amplitude = self.flow.forcing.amplitude(self.grid)
        self._generator = torch.Generator(self.grid.device)

    def rest(self) -> Tensor:
        """Still air, saturated everywhere: spectra `(2, n, columns)` of zeros."""
        shape = (2, self.grid.n, self.grid.columns)
        return torch.zeros(shape, dtype=self.grid.dtype, device=self.grid.device) + 0j

    def spectra(self, fields: Tensor) -> Tensor:
        """Spectra of fields `(2, n, n)`, vorticity and supersaturation.

        Raises `InputError` for another shape.
        """
        if tuple(fields.shape) != (2, self.grid.n, self.grid.n):
            raise InputError(
                f"fields have shape {(2, self.grid.n, self.grid.n)}, not {tuple(fields.shape)}"
            )
        return self.grid.spectrum(fields)

    def fields(self, y: Tensor) -> Tensor:
        """Vorticity and supersaturation `(2, n, n)` of spectra."""
        return self.grid.field(y)

    def kicked(self, y: Tensor, k: int) -> Tensor:
        """The spectra after the kick that begins step `k`."""
        if not self.flow.forcing.power:
            return y
        self._generator.manual_seed(derived_seed(self.seed, k))
        kick = self.flow.forcing.kick(self._amplitude, self.grid, self.step, self._generator)
        return torch.stack([y[0] + kick, y[1]])

    def moved(self, y: Tensor) -> Tensor:
        """The spectra after a step without a kick."""
        return torch.view_as_complex(self._advance(torch.view_as_real(y)))

    def advance(self, y: Tensor, k: int, steps: int) -> Tensor:
        """The spectra after some steps, the first of which is the `k`-th of the simulation.

        Raises `SamplingError` if they are no longer finite.
        """
        for i in range(k, k + steps):
            y = self.moved(self.kicked(y, i))
        if not bool(torch.isfinite(torch.view_as_real(y)).all()):
            raise SamplingError(
                f"the flow is not finite at time {(k + steps) * self.step:.4g}: take a step that "
                f"is shorter than {self.step:g} (step=)"
            )
        return y
