"""The posterior of a generative prior and a likelihood, by a guided sampler."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pushforward import checks, registry, samplers
from pushforward._random import derived_seed, fresh_seed
from pushforward.models.likelihood_posterior import LikelihoodPosterior
from pushforward.models.model import Progress, finite, parts_of
from pushforward.protocols import Sampler

__all__ = ["GuidedPosterior"]


class GuidedPosterior(LikelihoodPosterior):
    """States that fit a measurement, by a sampler of a guided prediction.

    `model.posterior(y, operator=..., noise=...)` makes one.
    """

    sampler = "exponential"
    """The short name of the sampler, unless told otherwise."""

    @torch.no_grad()
    def sample(
        self,
        n: int = 1,
        *,
        seed: int | None = None,
        steps: int | None = None,
        sampler: str | Sampler | None = None,
        batch_size: int = 256,
        check: bool = True,
        progress: Progress | None = None,
    ) -> Tensor:
        """`n` draws, in data units.

        Args:
            n: how many, of each measurement.
            seed: draw `k` of measurement `j` follows from the seed, `j` and `k` alone.
            steps: of the sampler, of which the last takes away what noise is left; 100 by default.
            sampler: a short name or a sampler; `exponential` by default: its noise corrects errors,
                and its draws of normal data have the right variance within 2 % at 50 steps, where
                `ddpm` loses 17 % of it.
            batch_size: states per evaluation of the network.
            check: warn, once, if `y` is far from what the model expects to measure (`doubts`).
            progress: called with the number of finished and of all steps.

        Warns of draws that are not finite. Raises `InputError` for arguments that do not fit.
        """
        checks.whole("n", n)
        self._warn(check)
        steps = checks.whole("steps", self.steps if steps is None else steps, 2)
        rule = registry.resolve("samplers", sampler or self.sampler)
        first, times, count = fresh_seed(seed), self._times(steps), self.count
        noise, start = self._noise(first, count, n), self._noise(derived_seed(first, 1), count, n)
        parts = parts_of(n * count, batch_size)
        done, total = 0, len(parts) * (len(times) - 1)

        def report(*_: Any) -> None:
            nonlocal done
            done += 1
            if progress is not None:
                progress(done, total)

        out = []
        with self.model.evaluating():
            for part in parts:
                # Draws of one measurement are next to each other.
                own = torch.arange(part.start, part.stop) // n
                transport, counted = self._transport(own)
                rows = part.stop - part.start
                x = self._denoiser.prior.sample(rows, generator=start.take(part))
                x = samplers.run(
                    rule, transport, x.to(self.model.device, self.model.dtype), times,
                    generator=noise.take(part), callback=report,
                )  # fmt: skip
                out.append(transport.model(x, times[-1]))
                self.evaluations = counted.evaluations
        drawn = self.model.outward(finite(torch.cat(out)))
        if not self.batched:
            return drawn
        return drawn.unflatten(0, (count, n)).transpose(0, 1)
