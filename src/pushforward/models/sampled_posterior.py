"""The posterior by samplers that take the measurement themselves: DAPS and RePaint."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pushforward import checks, samplers
from pushforward._random import RowNoise, fresh_seed
from pushforward.inverse import Measurement
from pushforward.models.denoiser import Denoiser
from pushforward.models.denoising_prior import DenoisingPrior
from pushforward.models.likelihood_posterior import LikelihoodPosterior, Tick
from pushforward.models.model import Progress
from pushforward.models.posterior import Exactness
from pushforward.protocols import Transport
from pushforward.samplers import DAPS, RePaint

__all__ = ["AnnealedPosterior", "RepaintedPosterior"]


class AnnealedPosterior(LikelihoodPosterior):
    """States that fit a measurement by decoupled annealing (`samplers.DAPS`).

    `model.posterior(y, operator=..., noise=..., method="daps")` makes one.

    Args:
        model: the prior.
        denoiser: see `LikelihoodPosterior`.
        measurement: likewise.
        sampler: its settings.
    """

    steps = 50

    def __init__(
        self, model: DenoisingPrior, denoiser: Denoiser, measurement: Measurement, sampler: DAPS
    ) -> None:
        reason = (
            "a heuristic: takes x_0 given x_t for normal with the same variance in all directions; "
            "exact for such data, with any likelihood"
        )
        cost = (
            f"{sampler.ode_steps} evaluations of the network at each level, and no derivative of it"
        )
        exactness = Exactness("approximate", reason)
        super().__init__(model, denoiser, measurement, _free, exactness, "daps", cost)
        self.daps = sampler

    @torch.no_grad()
    def sample(
        self,
        n: int = 1,
        *,
        seed: int | None = None,
        steps: int | None = None,
        batch_size: int = 256,
        check: bool = True,
        progress: Progress | None = None,
    ) -> Tensor:
        """`n` draws, in data units; the arguments are those of `GuidedPosterior.sample`.

        `steps` are noise levels, 50 by default, at each of which the model is evaluated several
        times.
        """
        checks.whole("n", n)
        self._warn(check)
        times = self._times(checks.whole("steps", self.steps if steps is None else steps, 2))

        def draw(
            transport: Transport, found: Measurement, x: Tensor, noise: RowNoise, tick: Tick
        ) -> Tensor:
            x = self.daps.run(transport, found, x, times, generator=noise)
            tick()
            return x

        return self._draws(n, fresh_seed(seed), batch_size, draw, progress, 1)


class RepaintedPosterior(LikelihoodPosterior):
    """States of which some numbers are known, by ancestral steps with jumps (`samplers.RePaint`).

    `model.posterior(y, operator=..., noise="exact", method="repaint")` makes one.

    Args:
        model: the prior.
        denoiser: see `LikelihoodPosterior`.
        measurement: likewise; of a selection, without noise.
        options: of the sampler.
    """

    def __init__(
        self, model: DenoisingPrior, denoiser: Denoiser, measurement: Measurement, **options: Any
    ) -> None:
        reason = (
            "a heuristic: what is known is exact, and the rest is drawn as if the noised known "
            "part told nothing of its noise"
        )
        cost = f"{RePaint.of(measurement, **options).jumps} evaluations of the network a step"
        exactness = Exactness("approximate", reason)
        super().__init__(model, denoiser, measurement, _free, exactness, "repaint", cost)
        self._options = options

    @torch.no_grad()
    def sample(
        self,
        n: int = 1,
        *,
        seed: int | None = None,
        steps: int | None = None,
        batch_size: int = 256,
        check: bool = True,
        progress: Progress | None = None,
    ) -> Tensor:
        """`n` draws, in data units; the arguments are those of `GuidedPosterior.sample`.

        Each of the `steps`, 100 by default, is made `jumps` times.
        """
        checks.whole("n", n)
        self._warn(check)
        times = self._times(checks.whole("steps", self.steps if steps is None else steps, 2))
        times = [*times, 0.0]

        def draw(
            transport: Transport, found: Measurement, x: Tensor, noise: RowNoise, tick: Tick
        ) -> Tensor:
            rule = RePaint.of(found, **self._options)
            last: Tensor = samplers.run(rule, transport, x, times, generator=noise, callback=tick)
            return last

        return self._draws(n, fresh_seed(seed), batch_size, draw, progress, len(times) - 1)


def _free(model: Any, process: Any, measurement: Measurement) -> Any:
    """The model as it is: the sampler takes the measurement."""
    return model
