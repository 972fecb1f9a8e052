"""Decoupled annealing posterior sampling (DAPS; Zhang et al. 2025)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward import checks, grids
from pushforward._random import resolve
from pushforward._shapes import combine, per_event_sum
from pushforward.config import configurable
from pushforward.errors import CapabilityError, InputError
from pushforward.inverse import ExactConstraint, Measurement
from pushforward.mcmc import MALA, LogDensity, evaluate
from pushforward.protocols import GaussianKernels, Transport, follows
from pushforward.samplers.ancestral import Ancestral
from pushforward.samplers.loop import run as integrate

__all__ = ["DAPS"]


@configurable
@dataclass(frozen=True)
class DAPS:
    r"""Draws `x_0` given `x_t` and `y` at each noise level, and noises it to the next.

    At each time, `x_0'` is what an ODE of `ode_steps` DDIM steps makes of `x_t`; Langevin steps
    draw from `N(x_0; x_0', r^2 I) p(y | x_0)`; and what they end with is noised to the next level
    with fresh noise, so that errors do not pile up (Zhang et al. 2025). The result is the last
    `x_0`. Their `r` is tuned; here `r^2 = sigma^2 s^2 / (alpha^2 s^2 + sigma^2)`, the variance of
    `x_0` given `x_t` for normal data of variance `s^2`.

    Langevin steps are Metropolis-adjusted (`mcmc.MALA`), and each row has a step size that adapts
    to its own acceptance, at every level from `r^2` on.

    Exactness: with `ode_steps = 1`, where `x_0'` is the posterior mean, exact for normal data of
    variance `s^2` in all directions and many moves, with any likelihood; otherwise a heuristic.

    Cost: `ode_steps` evaluations of the model at each time, no derivative of it, and `moves`
    gradients of the likelihood. Takes any differentiable operator and any noise with a density.

    Args:
        ode_steps: see above.
        moves: Langevin steps at each time.
        variance: `s^2`, in the units of the model.

    Raises `InputError` for settings out of range.

    >>> from pushforward import Transport, inverse, processes, schedules
    >>> process = processes.Gaussian(schedules.Rectified())
    >>> def model(x, t, c=None):  # E[x_0 | x_t] for standard normal data
    ...     k = process.schedule.at(t)
    ...     return k.alpha / (k.alpha**2 + k.sigma**2) * x
    >>> y = inverse.Measurement(
    ...     torch.tensor([1.0]), inverse.Matrix(torch.ones(1, 1)), inverse.GaussianNoise(1.0), (1,))
    >>> x = torch.randn(1000, 1, generator=torch.Generator().manual_seed(0))
    >>> sampler = DAPS(ode_steps=1)
    >>> drawn = sampler.run(Transport(model, process), y, x, [0.99, 0.7, 0.4, 0.1], seed=0)
    >>> round(drawn.mean().item(), 1), round(drawn.var().item(), 1)
    (0.5, 0.5)
    """

    ode_steps: int = 5
    moves: int = 30
    variance: float = 1.0

    def __post_init__(self) -> None:
        checks.whole("ode_steps", self.ode_steps)
        checks.whole("moves", self.moves)
        checks.positive("variance", self.variance)

    @torch.no_grad()
    def run(
        self,
        transport: Transport,
        measurement: Measurement,
        x: Tensor,
        grid: Sequence[float],
        *,
        seed: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Carry draws of the prior at `grid[0]` to draws of the posterior, `(B, *event)`.

        Args:
            transport: the model, which says `E[x_0 | x_t]`, and its Gaussian process.
            measurement: in the units of the model; batched ones have a row for each state.
            x: draws of the prior, `(B, *event)`.
            grid: decreasing times, at which `x_0` is drawn; 0 is left out.
            seed: or a `generator`. A row depends on its own noise alone.

        Raises `CapabilityError` for another process or measurements without noise, `InputError` for
        a grid towards the noise.
        """
        process, times = transport.process, list(grids.check(grid))
        if not follows(process, GaussianKernels) or not process.space.white:
            name = type(process).__name__
            raise CapabilityError(f"daps takes Gaussian processes with white noise, not {name}")
        if isinstance(measurement.noise, ExactConstraint):
            raise CapabilityError(
                "daps needs noise with a density, and there is none: projection meets a "
                "measurement exactly"
            )
        if times[-1] > times[0]:
            raise InputError(f"daps runs towards the data, not from {times[0]} to {times[-1]}")
        generator = resolve(seed, generator, x.device, rows=len(x))
        schedule, x_0 = process.schedule, x
        for k, t in enumerate(t for t in times if t > 0):
            if k:
                x = combine(schedule.values(t), (x_0, process.space.randn(x, generator)))
            alpha, sigma = schedule.values(t)
            known = sigma**2 * self.variance / (alpha**2 * self.variance + sigma**2)
            x_0 = self._moved(self._endpoint(transport, x, t), known, measurement, generator)
        return x_0

    def _endpoint(self, transport: Transport, x: Tensor, t: float) -> Tensor:
        """Where DDIM steps from `x_t` lead."""
        schedule = transport.process.schedule
        stop = min(schedule.t_min, t / 2)
        times = [t]
        if self.ode_steps > 1:
            times = grids.LogSNRGrid()(schedule, self.ode_steps - 1, start=t, stop=stop)
        found: Tensor = integrate(Ancestral(churn=0.0), transport, x, [*times, 0.0], seed=0)
        return found

    def _moved(
        self,
        center: Tensor,
        variance: float,
        measurement: Measurement,
        generator: torch.Generator | None,
    ) -> Tensor:
        """Langevin steps on `N(x_0; center, r^2) p(y | x_0)`, from its center."""

        def log_p(z: Tensor) -> Tensor:
            near = -0.5 * per_event_sum((z - center).square()) / variance
            return near + measurement.log_likelihood(z)

        return _adapted_langevin(log_p, center, variance, self.moves, generator)


def _adapted_langevin(
    log_p: LogDensity, x: Tensor, step: float, moves: int, generator: torch.Generator | None
) -> Tensor:
    """Metropolis-adjusted Langevin steps, each row with a step size of its own.

    It adapts for the first half, faster at first, and is then kept, so that the second half leaves
    the target invariant.
    """
    kernel, state = MALA(), evaluate(log_p, x)
    size = torch.full_like(state.log_p, step)
    for k in range(moves):
        move = kernel.move(log_p, state, size, generator)
        state = move.state
        if 2 * k < moves:
            size = size * (4 / (1 + k) ** 0.5 * (move.acceptance - kernel.target)).exp()
    return state.x
