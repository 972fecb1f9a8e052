"""The posterior by twisted sequential Monte Carlo: exact for many particles."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pushforward import checks
from pushforward._random import derived_seed, fresh_seed
from pushforward.errors import InputError
from pushforward.estimates import LogProb
from pushforward.inverse import Measurement
from pushforward.models.denoiser import Denoiser
from pushforward.models.denoising_prior import DenoisingPrior
from pushforward.models.likelihood_posterior import Guide, LikelihoodPosterior
from pushforward.models.model import Progress, finite
from pushforward.models.posterior import Exactness
from pushforward.samplers import PosteriorParticles, TwistedSMC

__all__ = ["TwistedPosterior"]


class TwistedPosterior(LikelihoodPosterior):
    """Draws of a guided sampler, weighted so that they follow the posterior (Wu et al. 2023).

    `model.posterior(y, operator=..., noise=..., method="tds")` makes one. A set of particles is run
    for each measurement, and draws are taken from it with replacement: no more of them are distinct
    than the effective sample size that `particles` tells.

    Args:
        model: the prior.
        denoiser: see `LikelihoodPosterior`.
        measurement: likewise.
        guide: the twist, a guided prediction with a likelihood.
        twist: the name of the twist, and
        cost: what a step of one particle costs.
        sampler: how many particles, and when they are resampled.
    """

    def __init__(
        self,
        model: DenoisingPrior,
        denoiser: Denoiser,
        measurement: Measurement,
        guide: Guide,
        twist: str,
        cost: str,
        sampler: TwistedSMC,
    ) -> None:
        reason = (
            f"weighted draws of {sampler.particles} particles, whose error vanishes as their "
            "number grows if the weights do not degenerate; what is left is that of the model and "
            "of its steps"
        )
        exactness = Exactness("asymptotically exact", reason)
        super().__init__(
            model, denoiser, measurement, guide, exactness, f"tds with the twist {twist}",
            f"for each of {sampler.particles} particles of a measurement {cost}",
        )  # fmt: skip
        self.smc = sampler
        self.particles: list[PosteriorParticles] = []
        """Those of each measurement, in the units of the model, in the latest run."""
        self._latest = (0, 0)

    @torch.no_grad()
    def run(
        self,
        *,
        seed: int | None = None,
        steps: int | None = None,
        progress: Progress | None = None,
    ) -> list[PosteriorParticles]:
        """Weighted particles for each measurement, kept in `particles`.

        Args:
            seed: the particles of measurement `j` follow from the seed and `j` alone.
            steps: of the chain, 100 by default.
            progress: called with the number of finished and of all measurements.

        Warns of sets that have not converged.
        """
        steps = checks.whole("steps", self.steps if steps is None else steps, 2)
        first = fresh_seed(seed)
        self.particles = self._sets(first, steps, progress)
        self._latest = first, steps
        return self.particles

    def _sets(
        self, seed: int, steps: int, progress: Progress | None = None
    ) -> list[PosteriorParticles]:
        """The particles of each measurement by so many steps."""
        times = self._times(steps)
        count, size = self.count, self.smc.particles
        noise = self._noise(seed, count, size)
        start = self._noise(derived_seed(seed, 1), count, size)
        found = []
        with self.model.evaluating():
            for k in range(count):
                rows = torch.arange(k * size, (k + 1) * size)
                transport, counted = self._transport(torch.full((size,), k))
                twist: Any = transport.model
                x = self._denoiser.prior.sample(size, generator=start.take(rows))
                found.append(
                    self.smc.run(
                        twist, transport.process,
                        x.to(self.model.device, self.model.dtype), times,
                        generator=noise.take(rows),
                    )
                )  # fmt: skip
                self.evaluations = counted.evaluations
                if progress is not None:
                    progress(k + 1, count)
        return found

    @torch.no_grad()
    def sample(
        self,
        n: int = 1,
        *,
        seed: int | None = None,
        steps: int | None = None,
        check: bool = True,
        progress: Progress | None = None,
    ) -> Tensor:
        """`n` draws of each measurement from the particles of a new run, in data units.

        The arguments are those of `run`, and `check` as for `GuidedPosterior.sample`.
        """
        checks.whole("n", n)
        self._warn(check)
        first = fresh_seed(seed)
        sets = self.run(seed=first, steps=steps, progress=progress)
        drawn = [own.sample(n, seed=derived_seed(first, 2, k))[0] for k, own in enumerate(sets)]
        found = self.model.outward(finite(torch.cat(drawn)))
        if not self.batched:
            return found
        return found.unflatten(0, (self.count, n)).transpose(0, 1)

    @torch.no_grad()
    def log_evidence(self, **options: Any) -> LogProb:
        """`log p(y)` of each measurement in nats, `(m,)`, with its standard error.

        Of the latest run, or of a new one, with the options of `run`. Another run of half as many
        steps says what the steps of the chain are wrong by (`PosteriorParticles.evidence`).

        Raises `InputError` for a run of fewer than 4 steps, which cannot be halved.
        """
        anew = bool(options) or not self.particles
        said = options.get("steps")
        steps = self._latest[1] if not anew else self.steps if said is None else said
        if checks.whole("steps", steps, 2) < 4:
            raise InputError(f"the error of log p(y) takes a run of at least 4 steps, not {steps}")
        if anew:
            self.run(**options)
        seed, steps = self._latest
        fine, spent = self.particles, self.evaluations
        coarse = self._sets(seed, steps // 2)
        nfe = (spent + self.evaluations) * self.smc.particles
        self.evaluations = spent
        found = [own.evidence(other) for own, other in zip(fine, coarse, strict=True)]
        value, stderr, error, converged = (
            torch.cat([getattr(own, name) for own in found])
            for name in ("value", "stderr", "error", "converged")
        )
        return LogProb(value, stderr, "estimated", nfe, error=error, converged=converged)
