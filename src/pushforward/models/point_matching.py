"""Forecasts by a stochastic interpolant from the state that is known."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from pushforward import checks, config, registry, state
from pushforward import times as time_laws
from pushforward._random import fresh_seed
from pushforward.config import configurable
from pushforward.errors import CapabilityError
from pushforward.estimates import LogProb
from pushforward.guidance import conditioned
from pushforward.models.conditional_source import ConditionalSource
from pushforward.models.from_start import FromStart
from pushforward.models.model import Progress, finite, parts_of
from pushforward.models.simulation import simulate, times_of
from pushforward.models.trainable import ERROR_OF_PREDICTION
from pushforward.processes import PointInterpolant
from pushforward.processes.reading import Reading
from pushforward.protocols import Sampler, Transport, matching_loss
from pushforward.samplers import CorrectedBridge

__all__ = ["PointMatching"]


@configurable
class PointMatching(FromStart):
    """`p(x | c)` by an SDE that starts from a point that the context says (Chen et al. 2024).

    Of frames in time this is the last one, and the network learns the drift from it to the next:
    where nothing moves there is nothing to learn, and the noise on the way is as large as what
    changes. Unlike a map from noise it has no density.

    Args:
        net: a module `net(x, t, c)` that returns the shape of `x`, with `t` from 1 at the point to
            0 at the data.
        start: where paths begin, such as `ContextChannels`, in data units.
        interpolant: `processes.PointInterpolant`; its `sigma`, if it has none, becomes the root
            mean square of what changes from start to data, in the units of the model.
        times: the distribution of training times.
        event_shape: the shape of one state, if known before training.
        context_network: makes vectors of contexts, trained along.

    >>> import pushforward as pf
    >>> start = pf.models.ContextChannels((0,), given=1, sizes=(2,))
    >>> path = pf.processes.PointInterpolant(sigma=1.0)
    >>> net = pf.nn.MLP((1, 2), width=16, context=2)
    >>> model = pf.models.PointMatching(net, start, path, event_shape=(1, 2))
    >>> model.sample(3, torch.zeros(2), steps=4, seed=0).shape
    torch.Size([3, 1, 2])
    """

    loss_meaning, space_from = ERROR_OF_PREDICTION, "interpolant"

    def __init__(
        self,
        net: nn.Module,
        start: ConditionalSource,
        interpolant: PointInterpolant | None = None,
        times: str | time_laws.TimeDistribution = "stratified",
        event_shape: int | state.EventShape | None = None,
        context_network: nn.Module | None = None,
    ) -> None:
        self.process = interpolant or PointInterpolant()
        self.times: time_laws.TimeDistribution = registry.resolve("times", times)
        super().__init__(net, start, self.process, event_shape, context_network)

    @classmethod
    def interpolant_of(cls, options: dict[str, Any]) -> PointInterpolant:
        """The one that is given, or one on vectors."""
        return options.get("interpolant") or PointInterpolant()

    @classmethod
    def reading_of(cls, interpolant: PointInterpolant) -> Reading:
        """The drift."""
        return interpolant.reading()

    def prepare(self, x: Any, c: Any = None, *, generator: torch.Generator) -> None:
        """Take the size of the noise from the data, if it is not given."""
        if self.process.sigma is not None:
            return
        gap = self.inward(x) - self._point(c)
        size = math.sqrt(float(self.space.squared_norm(gap, gap).mean()))
        # Data that never change leave nothing to be unsure of.
        self.process = replace(self.process, sigma=max(size, 1e-6))
        config.amend(self, interpolant=self.process)

    def loss(
        self,
        x: Any,
        c: Any = None,
        *,
        generator: torch.Generator | None = None,
        rows: slice = slice(None),
    ) -> Tensor:
        """The squared error of the drift at random times, per dimension, `(B,)`.

        Raises `CapabilityError` without contexts, and `InputError` for others.
        """
        z = self.inward(x), self._point(c)
        n, device = len(z[0]), z[0].device
        t = self.times.sample(n, self.process.clock, generator=generator, device=device)
        t = t.to(self.dtype).clamp(min=self.process.clock.t_min)
        context = self.condition.required(c, n, device)

        def pair(x_t: Tensor, t: Any, c: Any = None) -> tuple[Tensor, Tensor]:
            return self.predictor(x_t, t, c), z[1][rows]

        return matching_loss(pair, self.process, z, t, context, generator, rows)

    @torch.no_grad()
    def sample(
        self,
        n: int,
        c: Any = None,
        *,
        sampler: str | Sampler | None = None,
        steps: int | None = None,
        diffusion: float | None = None,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        batch_size: int | None = None,
        rows: slice = slice(None),
        progress: Progress | None = None,
    ) -> Any:
        """Draw `n` states in data units.

        Args:
            n: how many.
            c: a context for all, or one for each.
            sampler: a short name or a sampler; `samplers.CorrectedBridge` by default, which looks
                at the network twice a step.
            steps: of the sampler.
            diffusion: of the SDE, in the place of that of the interpolant.
            seed: or a `generator` on the model's device. Row `k` depends on the seed and on `k`
                alone.
            batch_size: states per evaluation of the network; by default what memory suggests.
            rows: draw this part of the `n` states only.
            progress: called with the number of finished and of all sampler steps.

        Warns if states are not finite. Raises `InputError` for arguments that do not fit,
        `CapabilityError` without contexts.
        """
        parts_of(n, batch_size, rows)
        seed = fresh_seed(seed, generator)
        process = self.process
        if diffusion is not None:
            process = replace(process, diffusion=checks.number("diffusion", diffusion, least=0))
        context = self.condition.required(c, n, self.device)
        point = self._point(c).expand(n, *self.event_shape)
        steps = checks.whole("steps", process.steps if steps is None else steps)
        times = times_of(process, process.grid, steps)

        def transports(part: slice) -> Transport:
            own = None if context is None else state.take(context, part)
            drift = conditioned(self.predictor, self.condition, own)
            here = point[part]
            return Transport(lambda x, t, c=None: (drift(x, t), here[: len(x)]), process)

        rule = CorrectedBridge() if sampler is None else registry.resolve("samplers", sampler)
        with self.evaluating():
            x = simulate(
                rule, transports, point.clone(), times, seed=seed, batch_size=batch_size,
                rows=rows, progress=progress,
            )  # fmt: skip
        return self.outward(finite(x))

    def log_prob(self, x: Any, c: Any = None) -> LogProb:
        """Raises `CapabilityError`: the end of an SDE has no density here."""
        raise CapabilityError("an interpolant from a point has no density: Diffusion has one")
