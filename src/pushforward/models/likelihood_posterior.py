"""The posterior of a generative prior and a likelihood: what all methods share."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pushforward import samplers
from pushforward._random import RowNoise, derived_seed
from pushforward._shapes import flatten, like
from pushforward.errors import InputError
from pushforward.inverse import Measurement
from pushforward.models.denoiser import Denoiser
from pushforward.models.denoising_prior import DenoisingPrior
from pushforward.models.model import Progress, finite, parts_of
from pushforward.models.noise_level import NoiseLevel
from pushforward.models.posterior import Exactness, Posterior
from pushforward.models.prior_predictive import PriorPredictive
from pushforward.protocols import Model, Transport

__all__ = ["Draw", "Guide", "LikelihoodPosterior", "Tick"]

_PRIOR_STEPS = 12
_TINY = 1e-30

Guide = Callable[[Model, Any, Measurement], Model]
"""Makes `E[x_0 | x_t, y]` of a model, its process and a measurement."""

Tick = Callable[..., None]

Draw = Callable[[Transport, Measurement, Tensor, RowNoise, Tick], Tensor]
"""Carries draws of the prior, with measurements of their own, to draws of the posterior."""


class LikelihoodPosterior(Posterior):
    """A prior with a measurement, in the units of the model, and a guided prediction of both.

    Args:
        model: the prior.
        denoiser: its `E[x_0 | x_t]`, with a context for each measurement.
        measurement: in the units of the model; batched for several.
        guide: what turns a prediction into a guided one.
        exactness: of the draws.
        method: its name.
        cost: of the method, in words.
    """

    steps = 100
    """Of the sampler, unless told otherwise."""

    noise_level: NoiseLevel | None = None
    """The estimate of the level of the noise, where it was not given."""

    def __init__(
        self,
        model: DenoisingPrior,
        denoiser: Denoiser,
        measurement: Measurement,
        guide: Guide,
        exactness: Exactness,
        method: str,
        cost: str,
    ) -> None:
        self.model, self.measurement, self.exactness = model, measurement, exactness
        self.method, self.cost = method, cost
        self._denoiser, self._guide = denoiser, guide
        self._predictive = PriorPredictive(self._prior, measurement)
        self.evaluations = 0
        """Evaluations of the network for each draw, in the latest call of `sample`."""
        # What a method refuses is refused before anything is drawn.
        guide(denoiser.model(slice(0, 1)), denoiser.process, measurement)

    def __repr__(self) -> str:
        many = f"{self.count} measurements" if self.batched else "a measurement"
        shape = tuple(self.measurement.observed_shape)
        return f"posterior given {many} of shape {shape} by {self.method}: {self.exactness}"

    @property
    def batched(self) -> bool:
        """Whether there are several measurements."""
        return self.measurement.batched

    @property
    def count(self) -> int:
        """How many measurements there are."""
        return len(self.measurement.y) if self.batched else 1

    def _times(self, steps: int) -> list[float]:
        """The grid of so many steps, of which the last is a prediction."""
        known = self._denoiser
        return known.grid(known.process.clock, steps - 1, start=known.start, stop=known.stop)

    def _warn(self, check: bool) -> None:
        """Warn of a measurement that is doubted, unless told not to."""
        if check:
            for doubt in self.doubts():
                warnings.warn(doubt, stacklevel=3)

    def _prior(self, n: int) -> Tensor:
        """Draws of the model without the measurement, in its own units, by few steps."""
        known = self._denoiser
        own = torch.zeros(n, dtype=torch.long)
        times = self._times(_PRIOR_STEPS)
        noise = RowNoise(0, slice(0, n), self.model.device)
        with self.model.evaluating():
            x = known.prior.sample(n, generator=noise).to(self.model.device, self.model.dtype)
            transport = Transport(known.model(own), known.process)
            x = samplers.run(samplers.DEFAULT, transport, x, times, generator=noise)
            return transport.model(x, times[-1])

    def _draws(
        self,
        n: int,
        seed: int,
        batch_size: int,
        draw: Draw,
        progress: Progress | None,
        ticks: int,
    ) -> Tensor:
        """`n` draws of each measurement, part by part, in data units.

        `draw` carries draws of the prior to the end, and calls its tick so many times.
        """
        count = self.count
        noise, start = self._noise(seed, count, n), self._noise(derived_seed(seed, 1), count, n)
        parts = parts_of(n * count, batch_size)
        done, out = 0, []

        def tick(*_: Any) -> None:
            nonlocal done
            done += 1
            if progress is not None:
                progress(done, len(parts) * ticks)

        with self.model.evaluating():
            for part in parts:
                # Draws of one measurement are next to each other.
                own = torch.arange(part.start, part.stop) // n
                transport, counted = self._transport(own)
                x = self._denoiser.prior.sample(len(own), generator=start.take(part))
                x = x.to(self.model.device, self.model.dtype)
                out.append(draw(transport, self.measurement.take(own), x, noise.take(part), tick))
                self.evaluations = counted.evaluations
        drawn: Tensor = self.model.outward(finite(torch.cat(out)))
        if not self.batched:
            return drawn
        return drawn.unflatten(0, (count, n)).transpose(0, 1)

    def _transport(self, own: Tensor) -> tuple[Transport, _Counted]:
        """The guided model of the measurements of some draws."""
        counted = _Counted(self._denoiser.model(own))
        process = self._denoiser.process
        guided = self._guide(counted, process, self.measurement.take(own))
        return Transport(guided, process), counted

    def _noise(self, seed: int, count: int, n: int) -> RowNoise:
        """That of `n` draws of each measurement, next to each other."""
        # The copies of a row do not depend on their number, if there are several.
        found = RowNoise(seed, slice(0, count), self.model.device).fork(max(n, 2))
        return found if n > 1 else found.take(2 * torch.arange(count))

    # -- what is known of draws -----------------------------------------------------------------

    def log_likelihood(self, x: Tensor) -> Tensor:
        """`log p(y | x)`; minus infinity for states that miss a measurement without noise."""
        return self._each(x, lambda z, found: found.log_likelihood(z))

    def consistency(self, x: Tensor) -> Tensor:
        """See `Posterior.consistency`."""

        def misfit(z: Tensor, found: Measurement) -> Tensor:
            clean = found.clean(z)
            y, spread = found.y.expand_as(clean), found.noise.spread(clean)
            size = like(flatten(y).square().mean(1).sqrt().clamp(min=_TINY), clean)
            unit = torch.where(spread > 0, spread, size)
            return flatten((y - clean) / unit).square().mean(1).sqrt()

        return self._each(x, misfit)

    def measured(self, x: Tensor) -> Tensor:
        """`A(x)` of draws, without noise, `(n, *observed)` or `(n, m, *observed)`."""
        return self._each(x, lambda z, found: found.clean(z))

    def doubts(self) -> list[str]:
        """What is wrong with `y`, in sentences, if the model and the operator are right.

        Whether any state at all would give it, and whether it lies among what 64 draws of the
        model give; found once.
        """
        return self._predictive.doubts()

    def _each(self, x: Tensor, function: Callable[[Tensor, Measurement], Tensor]) -> Tensor:
        """A function of some states and their measurements, for `(n, ...)` or `(n, m, ...)`."""
        if not self.batched:
            return function(self.model.inward(x), self.measurement)
        n, m, known = len(x), x.shape[1], len(self.measurement.y)
        if m != known:
            raise InputError(f"draws of {known} measurements are (n, {known}, ...), not {m}")
        own = torch.arange(m).repeat(n)
        found = function(self.model.inward(x.flatten(0, 1)), self.measurement.take(own))
        return found.unflatten(0, (n, m))


class _Counted:
    """A model that counts its evaluations."""

    def __init__(self, model: Model) -> None:
        self.model, self.evaluations = model, 0

    def __call__(self, x_t: Tensor, t: Any, c: Any = None) -> Tensor:
        self.evaluations += 1
        found: Tensor = self.model(x_t, t, c)
        return found
