r"""Twisted sequential Monte Carlo: exact posteriors of a diffusion for many particles.

The target is the chain that an ancestral sampler makes, `p(x_s | x_t)`, together with the exact
likelihood `p(y | x_0)` of what it ends with. Particles go from noise to data by kernels
`q(x_s | x_t, y)` with the guided prediction in the place of the free one. A guess of the likelihood
at each time, the twist `h_t(x_t)`, which approximates `p(y | x_t)`, says early which of them will
matter. The weight of a step is

    p(x_s | x_t) h_s(x_s) / (q(x_s | x_t, y) h_t(x_t)),

that of the first state is its `h`, and at the end `h_0` is the likelihood itself. The mean of the
weights, over all resamplings multiplied, is an unbiased estimate of `p(y)` whatever the twist.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pushforward import checks, grids
from pushforward._random import resolve, uniform
from pushforward._shapes import per_event_sum
from pushforward.config import configurable
from pushforward.errors import CapabilityError, ConvergenceWarning, InputError, SamplingError
from pushforward.importance import WIDEST, log_mean
from pushforward.mcmc import systematic_resampling
from pushforward.protocols import GaussianKernels, Guided, GuidedModel, follows
from pushforward.samplers.analytic_dpm import step_variance
from pushforward.samplers.ancestral import Ancestral
from pushforward.samplers.particles import PosteriorParticles

__all__ = ["TwistedSMC"]

_FEWEST_ANCESTORS = 8
"""Families below which particles say nothing of their own spread."""


@configurable
@dataclass(frozen=True)
class TwistedSMC:
    """The twisted diffusion sampler (TDS; Wu et al. 2023).

    Exactness: for many particles a sample of the posterior of the chain that `chain` makes of the
    free model, with any twist and any likelihood; what is left is the error of that chain's steps
    and of the model. A better twist needs fewer particles. Weights degenerate for many measured
    numbers of little noise: then `converged` is false, and a warning says so.

    Cost: for each particle as many evaluations as the twist takes at each time of the grid.

    A set is resampled (systematic resampling; Kitagawa 1996) where the effective size of its
    weights falls below `threshold` of its particles.

    Args:
        particles: in a set.
        threshold: see above; 0 never resamples, and the weights are plain importance weights.
        chain: the ancestral sampler whose posterior is drawn, with some churn, and with a variance
            that is not learned. By default that of the forward kernel, which is right for data of
            unit variance; `samplers.tweedie_variance` is right for any, and the posterior variance
            of DDPM too small where steps are few.

    Raises `InputError` for settings out of range.

    >>> from pushforward import guidance, inverse, processes, schedules
    >>> process = processes.Gaussian(schedules.Rectified())
    >>> def model(x, t, c=None):  # E[x_0 | x_t] for standard normal data
    ...     k = process.schedule.at(t)
    ...     return k.alpha / (k.alpha**2 + k.sigma**2) * x
    >>> y = inverse.Measurement(
    ...     torch.tensor([1.0]), inverse.Matrix(torch.ones(1, 1)), inverse.GaussianNoise(1.0), (1,))
    >>> twist = guidance.MMPS(model, process, y)
    >>> grid = torch.linspace(0.999, 0.01, 100).tolist()
    >>> x = torch.randn(1000, 1, generator=torch.Generator().manual_seed(0))
    >>> found = TwistedSMC(particles=1000).run(twist, process, x, grid, seed=0)
    >>> round(found.log_evidence.item(), 1)  # log N(1; 0, 2) = -1.5155
    -1.5
    """

    particles: int = 1000
    threshold: float = 0.5
    chain: Ancestral = field(default_factory=lambda: Ancestral(variance="beta"))

    def __post_init__(self) -> None:
        checks.whole("particles", self.particles, least=2)
        checks.number("threshold", self.threshold, least=0, most=1)
        if not isinstance(self.chain, Ancestral) or self.chain.variance == "learned":
            raise InputError(
                "the chain is an ancestral sampler with a variance that is known, samplers."
                f"Ancestral(), not {self.chain!r}"
            )
        if self.chain.churn == 0:
            raise InputError(
                "the chain needs noise in its steps, since weights are ratios of their densities, "
                "but Ancestral(churn=0) has none"
            )

    @torch.no_grad()
    def run(
        self,
        twist: GuidedModel,
        process: GaussianKernels,
        x: Tensor,
        grid: Sequence[float],
        c: Any = None,
        *,
        seed: int | None = None,
        generator: torch.Generator | None = None,
    ) -> PosteriorParticles:
        """Carry sets of particles from the prior along a grid, and weigh them.

        Args:
            twist: a guided model, such as `guidance.MMPS`. One with a measurement for each row has
                equal ones within a set.
            process: the Gaussian process of its model.
            x: draws of the prior at `grid[0]`, `(S K, *event)`, those of a set next to each other.
            grid: decreasing times. The state at the last one that is above 0 is replaced by the
                free prediction.
            c: the context of the model, for all rows.
            seed: or a `generator`. A set depends on its own rows alone.

        Warns of sets that have not converged. Raises `InputError` for particles that make no whole
        sets, `CapabilityError` for a model that is no twist or a process that is not Gaussian, and
        `SamplingError` where all weights of a set vanish or are not a number.
        """
        times, sets = self._checked(twist, process, x, grid)
        generator = resolve(seed, generator, x.device, rows=len(x))
        process.tabulate(times)
        rows = self.chain.plan(process, times) if len(times) > 1 else ()
        found = twist.guide(x, times[0], c)
        weights = _Weights(sets, self.particles, self.threshold, x)
        weights.multiply(found.log_likelihood, times[0])
        for row, s in zip(rows, times[1:], strict=True):
            # Drawn whether it is needed or not, so that no set depends on another.
            picks = weights.resampled(uniform((len(x),), generator, dtype=torch.float64))
            if picks is not None:
                x, found = x[picks], _picked(found, picks)
            x, ratio = self._step(process, row, x, found, generator)
            before, found = found.log_likelihood, twist.guide(x, s, c)
            weights.multiply(ratio + found.log_likelihood - before, s)
        exact = twist.log_likelihood(found.free, c)
        weights.multiply(exact - found.log_likelihood, 0.0)
        return self._result(found.free, weights)

    def _step(
        self,
        process: GaussianKernels,
        row: Any,
        x: Tensor,
        found: Guided,
        generator: torch.Generator | None,
    ) -> tuple[Tensor, Tensor]:
        """A draw of the guided kernel, and `log p - log q` there, `(B,)`."""
        kernel = row.kernel
        std = kernel.std
        if callable(self.chain.variance):
            std = step_variance(kernel, self.chain.variance(x, row.t)).sqrt()
        noise = process.space.randn(x, generator)
        shift = kernel.gain * (found.guided - found.free) / std
        moved = kernel.keep * x + kernel.gain * found.free + std * (shift + noise)
        return moved, -per_event_sum(shift * (noise + shift / 2))

    def _checked(
        self, twist: Any, process: Any, x: Tensor, grid: Sequence[float]
    ) -> tuple[list[float], int]:
        """The times above zero, and the number of sets."""
        if not follows(process, GaussianKernels) or not process.space.white:
            raise CapabilityError(
                f"twisted SMC runs on Gaussian processes with white noise, not on {process}"
            )
        if not follows(twist, GuidedModel):
            raise CapabilityError(
                f"{type(twist).__name__} says nothing of the likelihood of a measurement: a twist "
                "is a guided model with `guide`, such as guidance.MMPS"
            )
        times = list(grids.check(grid))
        if times[-1] > times[0]:
            raise InputError(
                f"twisted SMC runs towards the data, not from {times[0]} to {times[-1]}"
            )
        sets, rest = divmod(len(x), self.particles)
        if rest or not sets:
            raise InputError(
                f"{len(x)} states are no whole number of sets of {self.particles} particles"
            )
        return [t for t in times if t > 0], sets

    def _result(self, x: Tensor, weights: _Weights) -> PosteriorParticles:
        result = weights.result(x)
        bad = ~result.converged
        lost = int(bad.sum())
        if lost:
            warnings.warn(
                f"{lost} of {len(bad)} particle sets have not converged: the effective "
                f"size of their weights came down to {float(result.ess[:, bad].min()):.1f} of "
                f"{self.particles}, or few large weights decide. Their draws and evidence are not "
                "to be trusted: take more particles or steps, or a better twist (mmps)",
                ConvergenceWarning,
                stacklevel=3,
            )
        return result


class _Weights:
    """The log-weights of all sets, and what was learned of the evidence at each resampling."""

    def __init__(self, sets: int, size: int, threshold: float, x: Tensor) -> None:
        self.size, self.threshold = size, threshold
        self.logs = x.new_zeros(sets, size, dtype=torch.float64)
        self.log_evidence = self.logs.new_zeros(sets)
        self.variance = self.logs.new_zeros(sets)
        self.trusted = torch.ones(sets, dtype=torch.bool, device=x.device)
        self.resamplings = torch.zeros(sets, dtype=torch.long, device=x.device)
        self.first = torch.arange(size, device=x.device).repeat(sets, 1)
        """The first state that each descends from."""
        self.ess: list[Tensor] = []

    def multiply(self, factor: Tensor, t: float) -> None:
        """Multiply by the exponential of `(S K,)`, and note the effective size."""
        self.logs = self.logs + factor.detach().reshape(self.logs.shape).double()
        top = self.logs.amax(1)
        if not bool(top.isfinite().all()):
            raise SamplingError(
                f"the weights of {int((~top.isfinite()).sum())} particle sets are all zero, or not "
                f"a number, at t = {t:g}: the measurement lies too far from all particles, or the "
                "model has diverged"
            )
        self.ess.append((2 * self.logs.logsumexp(1) - (2 * self.logs).logsumexp(1)).exp())

    def resampled(self, u: Tensor) -> Tensor | None:
        """Which rows to go on with, `(S K,)`, or `None` for all as they are.

        The first number of each set of the uniform `u`, `(S K,)`, seeds its resampling.
        """
        low = (self.ess[-1] < self.threshold * self.size).nonzero().flatten().tolist()
        if not low:
            return None
        picks = torch.arange(self.logs.numel(), device=self.logs.device).view(self.logs.shape)
        seeds = (u.view(self.logs.shape)[:, 0] * 2.0**53).long().tolist()
        for k in low:
            self._note(k)
            generator = torch.Generator("cpu").manual_seed(seeds[k])
            chosen = systematic_resampling(self.logs[k], self.size, generator).to(picks.device)
            picks[k], self.first[k] = picks[k, chosen], self.first[k, chosen]
            self.logs[k] = 0.0
            self.resamplings[k] += 1
        return picks.flatten()

    def _note(self, k: int) -> None:
        """The mean of the weights of a set goes into its evidence."""
        found = log_mean(self.logs[k])
        self.log_evidence[k] += found.value
        self.variance[k] += found.stderr**2
        self.trusted[k] &= found.converged

    def result(self, x: Tensor) -> PosteriorParticles:
        """The particles with an error of the evidence.

        It is the larger of two: that of the weights at each resampling, as if resampled particles
        were independent, and that of the families of the first particles (Chan & Lai 2013), which
        counts what descendants of one share.
        """
        sets = len(self.logs)
        for k in range(sets):
            self._note(k)
        shares = torch.zeros_like(self.logs).scatter_add_(1, self.first, self.logs.softmax(1))
        families = (self.size * shares.square().sum(1) - 1) / (self.size - 1)
        stderr = torch.maximum(self.variance, families.clamp(min=0)).sqrt()
        ancestors = (shares > 0).sum(1)
        enough = (stderr <= WIDEST) & (ancestors >= min(_FEWEST_ANCESTORS, self.size))
        return PosteriorParticles(
            x=x.reshape(sets, self.size, *x.shape[1:]),
            log_weights=self.logs.to(x),
            log_evidence=self.log_evidence,
            stderr=stderr,
            ess=torch.stack(self.ess),
            resamplings=self.resamplings,
            ancestors=ancestors,
            converged=self.trusted & enough,
        )


def _picked(found: Guided, rows: Tensor) -> Guided:
    return Guided(found.free[rows], found.guided[rows], found.log_likelihood[rows])
