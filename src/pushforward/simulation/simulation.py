r"""Score-based transport modeling: the Fokker-Planck equation solved by particles.

The law `p_t` of `dX = b(X, t) dt + sqrt(2 D) dW` is also that of the deterministic flow

    dx / dt = v_t(x) = b(x, t) - D grad log p_t(x),

whose score is learned from the particles themselves while they move (Boffi & Vanden-Eijnden 2023).
Along the flow `d log p_t / dt = -div v_t`, so that the density, the entropy and the currents, which
no path of the SDE shows, come with it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pushforward import checks
from pushforward._random import derived_seed, resolve
from pushforward._shapes import not_finite
from pushforward.config import configurable, describe
from pushforward.errors import InputError, SamplingError
from pushforward.mcmc import check_states
from pushforward.protocols import Distribution
from pushforward.simulation.diffusivity import Diffusivity
from pushforward.simulation.entropy_rates import measured
from pushforward.simulation.flux import Drift, check_derivative, flux_at, with_divergence
from pushforward.simulation.position import Frame, SimulationPosition, Slope
from pushforward.simulation.sequential_score import SequentialScore
from pushforward.simulation.simulated import Simulated
from pushforward.training.interrupts import Interrupts
from pushforward.training.lock import Lock
from pushforward.training.newest_checkpoint import NewestCheckpoint
from pushforward.training.progress import Progress

__all__ = ["Simulation"]


@configurable
class Simulation:
    r"""Particles of `dX = b(X, t) dt + sqrt(2 D) dW`, moved by its probability flow.

    Args:
        drift: `b(x, t)` of states `(B, *event)` and a time.
        diffusion: `D`: a number, a tensor shaped like a state for a diagonal one, a matrix for
            states of that many numbers; entries may be zero.
        start: a distribution with `sample` and `log_prob`, for densities along the way, or the
            particles `(n, *event)` themselves.
        score: what learns the score, `LearnedScore(network)` or `KernelScore()`.
        duration: from time zero on.
        steps: time steps of equal length; the error of a path falls as its square (Adams and
            Bashforth, from the velocities of two times).
        particles: how many, of a distribution.
        probes: of Hutchinson's estimate of the divergence that the density is integrated with; it
            is exact without, at a backward pass for each number of a state.
        seed: of the particles, and of the noise in losses.
        device: of the particles; the network has to be there.

    Raises `InputError` for numbers out of range.

    >>> from pushforward.distributions import Normal
    >>> from pushforward.simulation import KernelScore
    >>> ou = Simulation(
    ...     lambda x, t: -x, 1.0, Normal((1,), scale=2.0), KernelScore(0.3), 0.5, 50, 400, seed=0
    ... )
    >>> found = ou.run(progress=False)
    >>> found.x.shape, round(float(found.times[-1]), 3)
    (torch.Size([11, 400, 1]), 0.5)
    """

    def __init__(
        self,
        drift: Drift,
        diffusion: float | Tensor,
        start: Distribution[Tensor] | Tensor,
        score: SequentialScore,
        duration: float,
        steps: int,
        particles: int = 1000,
        probes: int | None = None,
        seed: int = 0,
        device: str | torch.device = "cpu",
    ) -> None:
        self.drift, self.start, self.score = drift, start, score
        self.duration = checks.positive("duration", duration)
        self.steps = checks.whole("steps", steps)
        self.particles = checks.whole("particles", particles, least=2)
        self.probes = None if probes is None else checks.whole("probes", probes)
        self.seed = checks.seed("seed", seed)
        self.device = torch.device(device)
        self.diffusion = diffusion

    def run(
        self,
        out: str | Path | None = None,
        *,
        resume: bool = False,
        checkpoint_every: int = 100,
        keep: int = 10,
        progress: bool = True,
        callback: Callable[[SimulationPosition], Any] | None = None,
    ) -> Simulated:
        """Move the particles to the end.

        Args:
            out: a folder for checkpoints, which `simulation.load` reads at any time.
            resume: go on from the checkpoint in `out`, if there is one; the numbers are the same as
                those of a simulation in one piece.
            checkpoint_every: so many time steps.
            keep: intervals between the times whose particles are kept.
            progress: show how far it is.
            callback: called after each time step.

        Raises `InputError` for a folder that holds something else, and for a drift or a diffusion
        that does not fit the states; `SamplingError` for particles that are no longer finite; and
        `KeyboardInterrupt` after the step under way, which is saved then.
        """
        checks.whole("checkpoint_every", checkpoint_every)
        every = max(1, self.steps // checks.whole("keep", keep))
        if resume and out is None:
            raise InputError("resume=True needs the folder of the simulation: out=")
        # What was given stays as it is, so that another run begins where this one did.
        score = copy.deepcopy(self.score)
        with ExitStack() as stack:
            folder = None
            if out is not None:
                folder = NewestCheckpoint(Path(out), self._description(every))
                folder.check(resume)
                stack.enter_context(Lock(folder.path))
            position = self._begun(folder, score)
            diffusivity = Diffusivity(self.diffusion, tuple(position.x.shape[1:]))
            bar = stack.enter_context(
                Progress("simulation", self.steps, done=position.step, show=progress)
            )
            asked = stack.enter_context(Interrupts())
            while len(position.history) <= self.steps:
                self._advance(position, diffusivity, score, every)
                count = len(position.history)
                last = count > self.steps
                due = last or asked.requested or count % checkpoint_every == 0
                if folder is not None and due:
                    kept = {f"score.{name}": t for name, t in score.state().items()}
                    folder.save(position.step, position.tensors() | kept, finished=last)
                if asked.requested and not last:
                    raise KeyboardInterrupt
                bar(position.step, note=f"time {position.history[-1][0]:.3g}")
                if callback is not None:
                    callback(position)
        return replace(position.found(finished=True), score=score)

    def _begun(self, folder: NewestCheckpoint | None, score: SequentialScore) -> SimulationPosition:
        """Where the simulation in the folder stands, or its start."""
        if folder is not None and (kept := folder.restore()) is not None:
            own = {k.removeprefix("score."): t for k, t in kept.items() if k.startswith("score.")}
            score.restore(own)
            return SimulationPosition.of(kept, self.device)
        if isinstance(self.start, Tensor):
            check_states(self.start)
            return SimulationPosition(0, self.start.detach().clone().to(self.device), None)
        noise = resolve(derived_seed(self.seed, 0, 0), rows=self.particles)
        x = self.start.sample(self.particles, generator=noise)
        density = self.start.log_prob(x).to(self.device)
        x = x.to(self.device)
        check_derivative(self.drift, x, 0.0)
        return SimulationPosition(0, x, density, self.probes or x[0].numel())

    def _advance(
        self,
        position: SimulationPosition,
        diffusivity: Diffusivity,
        score: SequentialScore,
        every: int,
    ) -> None:
        """Fit the score at one time, measure, and take a step of Adams and Bashforth."""
        k, x, length = position.step, position.x, self.duration / self.steps
        time = k * length
        generator = torch.Generator(x.device).manual_seed(derived_seed(self.seed, 1, k))
        fitted = score.fit(x, diffusivity, generator, first=k == 0)
        if position.log_density is None:
            flux = flux_at(self.drift, diffusivity, score, x, time)
        else:
            flux = with_divergence(self.drift, diffusivity, score, x, time, self.probes, generator)
        if bad := not_finite(flux.velocity):
            raise SamplingError(
                f"{bad} of {len(x)} velocities are not finite at time {time:g}: take more time "
                f"steps than {self.steps}, or a score that is smoother"
            )
        rates = measured(x, flux, diffusivity)
        position.history.append((time, *rates, *map(float, fitted)))
        if k % every == 0 or k == self.steps:
            position.frames.append(Frame(time, x, flux.velocity, position.log_density))
        if k < self.steps:
            now = Slope(flux.velocity, flux.divergence)
            before = position.slope or now
            position.x = x + length * (1.5 * now.velocity - 0.5 * before.velocity)
            density = position.log_density
            if density is not None and now.divergence is not None:
                earlier = now.divergence if before.divergence is None else before.divergence
                growth = 1.5 * now.divergence - 0.5 * earlier
                position.log_density = density - length * growth
            position.slope = now
            position.step = k + 1

    def _description(self, every: int) -> dict[str, Any]:
        """Plain values that tell this simulation from another."""
        found = describe(self, ("drift", "diffusion", "start", "score"), tensors={})["args"]
        numbers = ("duration", "steps", "particles", "probes", "seed")
        return found | {name: getattr(self, name) for name in numbers} | {"frame_every": every}
