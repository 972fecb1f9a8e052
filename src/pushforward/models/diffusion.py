"""Diffusion models: a network that predicts what noise has hidden."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor, nn

from pushforward import config, grids, parametrizations, samplers, weightings
from pushforward import nn as nets
from pushforward import times as time_laws
from pushforward._random import branch, resolve
from pushforward._shapes import combine
from pushforward.config import configurable, named
from pushforward.errors import CapabilityError, InputError
from pushforward.estimates import Capabilities
from pushforward.guidance import ClassifierFree, given
from pushforward.models import network, requests
from pushforward.models.denoiser import Denoiser
from pushforward.models.noising import Noising
from pushforward.models.trajectory import Moment, Trajectory
from pushforward.parametrizations import Parametrization
from pushforward.processes import Gaussian
from pushforward.protocols import Model, Sampler, State, Transport
from pushforward.weightings import Weighting

__all__ = ["Diffusion"]

Progress = Callable[[int, int], None]


@configurable
class Diffusion(Noising):
    """A diffusion model of data in R^d: vectors, images, signals.

    Args:
        net: any module `net(x, t, c)` that returns the shape of `x`, with `t` of shape `(B,)` and
            `c` labels `(B,)`, contexts `(B, context)` or `None`; without an attribute
            `num_classes`, any `c` `(B, ...)`.
        process: how noise is added; variance preserving by default.
        predict: what the network puts out: `noise`, `data`, `v`, `score`, `velocity`, `edm`, or a
            parametrization.
        times: the distribution of training times; stratified uniform by default.
        weight: how errors at different times count (`weightings`); by default each as the error of
            the network's own output.
        label_dropout: the fraction of labels hidden in training (label -1), which
            classifier-free guidance needs; of contexts likewise (a row of NaN). Only for networks
            with `num_classes` or `context`.
        grid: where samplers step unless told otherwise; `fit_grid` fits it to the trained model.
        event_shape: the shape of one data point, if known before training.

    States cross this class in data units; the shift and scale that `standardize` fits are kept and
    saved inside.

    >>> import pushforward as pf
    >>> model = pf.Diffusion(pf.nn.MLP(2, width=16), event_shape=(2,))
    >>> model.sample(3, steps=4, seed=0).shape
    torch.Size([3, 2])
    """

    def __init__(
        self,
        net: nn.Module,
        process: Gaussian | None = None,
        predict: str | Parametrization = "v",
        times: str | time_laws.TimeDistribution = "stratified",
        weight: str | Weighting = "output",
        label_dropout: float = 0.1,
        grid: str | grids.Grid = "log-snr",
        event_shape: int | tuple[int, ...] | None = None,
    ) -> None:
        super().__init__(event_shape)
        network.check(net)
        self.process = Gaussian() if process is None else process
        if not isinstance(self.process, Gaussian):
            raise InputError(
                f"Diffusion noises data by a Gaussian process, not {self.process!r}: "
                "processes.Gaussian(schedule)"
            )
        if not 0 <= label_dropout < 1:
            raise InputError(f"label_dropout is a fraction in [0, 1), not {label_dropout}")
        self.label_dropout = label_dropout
        self.grid: grids.Grid = named(grid, grids.NAMES, "grid")
        self.weight = named(weight, weightings.NAMES, "weighting")
        self.times = named(times, time_laws.NAMES, "distribution of training times")
        table = named(predict, parametrizations.NAMES, "prediction")
        self.denoiser = Denoiser(net, self.process.schedule, table)
        self._begin()

    @classmethod
    def for_data(cls, data: Any, *, labels: bool = True, **options: Any) -> Self:
        """A U-Net or a perceptron that fits the data; `options` are the constructor's."""
        classes = data.num_classes if labels else None
        net = nets.default_network(data.event_shape, num_classes=classes)
        return requests.made(cls, options, net=net)

    # -- what it is -----------------------------------------------------------------------------

    @property
    def num_classes(self) -> int | None:
        """The number of labels that the network knows, `None` if it takes none."""
        return getattr(self.denoiser.net, "num_classes", None)

    @property
    def context_size(self) -> int | None:
        """The length of the contexts that the network takes, `None` if it takes none."""
        return getattr(self.denoiser.net, "context_size", None)

    @property
    def _conditional(self) -> bool:
        return self.num_classes is not None or self.context_size is not None

    @property
    def capabilities(self) -> Capabilities:
        """Samples, log-densities by the probability-flow ODE, labels if the network takes them."""
        return Capabilities(True, "ode", self._conditional)

    # -- learning -------------------------------------------------------------------------------

    def loss(
        self,
        x: Tensor,
        c: Any = None,
        *,
        generator: torch.Generator | None = None,
        rows: slice = slice(None),
    ) -> Tensor:
        r"""The denoising loss of data `(B, *event)`, shape `(B,)`.

        `w(t) |E[x_0 | x_t] - x_0|^2` at random times, per dimension, with the weight of `weight`
        and of the distribution of `times`.

        `rows` asks for a part of the batch only. Times and noise are drawn for the whole batch all
        the same, so that the loss of a batch does not depend on how it is cut over processes and
        micro-batches.
        """
        z = self._inward(x)
        schedule = self.process.schedule
        t = self.times.sample(len(z), schedule, generator=generator, device=z.device).to(z.dtype)
        c = self._context(c, len(z))
        if self.training:
            c = network.hidden(self.denoiser.net, c, self.label_dropout, generator)
        x_t = self.process.sample(z, t, generator)
        if rows != slice(None):
            z, t, x_t, c = z[rows], t[rows], x_t[rows], None if c is None else c[rows]
        loss = self.process.loss(self.denoiser(x_t, t, c), z, x_t, t)
        loss = loss * self.weight(schedule, t, self.denoiser.table)
        more = self.times.weights(t, schedule)
        return loss if more is None else loss * more

    # -- sampling -------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(
        self,
        n: int,
        c: Any = None,
        *,
        sampler: str | Sampler = "adams",
        steps: int = 20,
        grid: str | grids.Grid | None = None,
        start: float | None = None,
        stop: float | None = None,
        denoise: bool = True,
        guidance: float = 1.0,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        batch_size: int | None = None,
        rows: slice = slice(None),
        progress: Progress | None = None,
        callback: Callable[[Moment], None] | None = None,
    ) -> Tensor:
        """Draw `n` states in data units, `(n, *event)`.

        Args:
            n: how many.
            c: a label for all, or labels `(n,)`; `None` for the unconditional model.
            sampler: a short name (`pushforward list samplers`) or a sampler.
            steps: steps of the sampler; the last one is the final denoising, if there is one.
            grid: where the steps are; by default the model's own.
            start: the first time, where the prior is drawn; the schedule's `t_max` by default.
            stop: the early stopping time; the schedule's `t_min` by default.
            denoise: replace the state at `stop` by its posterior mean, which removes the noise
                left there (one more evaluation).
            guidance: the strength of classifier-free guidance; 1 is the plain conditional model.
            seed: or a `generator` on the model's device.
            batch_size: states per evaluation of the network; all at once by default.
            rows: draw this part of the `n` states only, as one of several processes does. The prior
                is drawn for all, so the parts of an ODE sampler are those of the whole; the noise
                of a part depends on its first row.
            progress: called with the number of finished and of all sampler steps.
            callback: called with a `Moment` at the prior and after each step of the sampler: the
                states, and their denoised values for those who ask.

        Warns if states are not finite. Raises `InputError` for arguments that do not fit,
        `CapabilityError` for labels or guidance on a model without labels, for what the model was
        not trained to do without labels, or for a sampler that does not fit the process.
        """
        times = self._grid(grid, requests.solver_steps(steps, denoise), start, stop)
        # At the very end no noise is left to remove.
        denoise = denoise and times[-1] > 0
        rule = samplers.resolve(sampler)
        generator = resolve(seed, generator, self.device)
        parts = requests.batches(n, batch_size, rows)
        labels = self._context(c, n)
        # Drawn at once, so that an ODE sampler's result does not depend on the batch size.
        prior = self._prior(n, times[0], generator)
        generator = branch(generator, rows.indices(n)[0])
        done, total = 0, len(parts) * (len(times) - 1)
        # Nothing to draw is a share too, if there are more processes than states.
        out = [prior[:0]]

        def show(part: slice, transport: Transport, k: int, t: float, state: State) -> None:
            nonlocal done
            done += k > 0
            if progress is not None and k > 0:
                progress(done, total)
            if callback is not None:
                callback(Moment(k, t, part, state.x, transport, self._units()))

        with self._evaluating():
            for part in parts:
                context = None if labels is None else labels[part]
                transport = Transport(self._model(context, guidance), self.process)
                report = partial(show, part, transport)
                report(0, times[0], State(prior[part]))
                x = samplers.run(
                    rule, transport, prior[part], times, generator=generator, callback=report
                )
                out.append(transport.model(x, times[-1]) if denoise else x)
        return self._units()(requests.finite(torch.cat(out)))

    @torch.no_grad()
    def fit_grid(
        self,
        c: Any = None,
        *,
        steps: int = 10,
        sampler: str | Sampler = "adams",
        n: int = 64,
        guidance: float = 1.0,
        seed: int | None = 0,
    ) -> grids.FittedGrid:
        """Fit the sampling grid to this model, keep it in `grid`, and save it with the model.

        Takes some 130 evaluations of `n` states, for a sampler without noise at a number of
        `steps`; see `samplers.fit_grid`.
        """
        generator = resolve(seed, None, self.device)
        transport = Transport(self._model(self._context(c, n), guidance), self.process)
        prior = self._prior(n, self.process.schedule.t_max, generator)
        rule = samplers.resolve(sampler)
        with self._evaluating():
            self.grid = samplers.fit_grid(transport, prior, steps=steps, sampler=rule)
        config.amend(self, grid=self.grid)
        return self.grid

    @torch.no_grad()
    def trajectory(
        self,
        n: int,
        c: Any = None,
        *,
        frames: int = 8,
        sampler: str | Sampler = "adams",
        steps: int = 40,
        guidance: float = 1.0,
        seed: int | None = None,
    ) -> Trajectory:
        """The reverse process as a film strip: times, states, and what the model makes of them.

        From the prior to the last state, equally spaced along the sampler's grid, in data units.
        Raises `InputError` for fewer than two frames or fewer steps than frames.
        """
        if not 2 <= frames <= steps:
            raise InputError(f"need 2 <= frames <= steps, not {frames} frames of {steps} steps")
        chosen = [round(k * steps / (frames - 1)) for k in range(frames)]
        strip: list[tuple[float, Tensor, Tensor]] = []

        def keep(moment: Moment) -> None:
            if moment.step in chosen:
                strip.append((moment.time, moment.x, moment.denoised()))

        asked: dict[str, Any] = {"sampler": sampler, "steps": steps, "guidance": guidance}
        self.sample(n, c, **asked, denoise=False, seed=seed, callback=keep)
        times, states, denoised = zip(*strip, strict=True)
        return Trajectory(list(times), torch.stack(states), torch.stack(denoised))

    @torch.no_grad()
    def noised(self, x: Tensor, times: list[float], *, seed: int | None = None) -> Tensor:
        """The forward process as a film strip: data `(B, *event)` at each time, one noise for all.

        Shape `(len(times), B, *event)`, in data units.
        """
        z = self._inward(x)
        noise = self.process.space.randn(z, resolve(seed, None, z.device))
        levels = [self.process.schedule.values(t) for t in times]
        return torch.stack([self._units()(combine(level, (z, noise))) for level in levels])

    # -- inside ---------------------------------------------------------------------------------

    def _model(self, context: Tensor | None, guidance: float) -> Model:
        """The denoiser with its context, guided; `CapabilityError` for what it never learned."""
        free = context is None or guidance != 1.0
        if free and self._conditional and self.label_dropout == 0:
            raise CapabilityError(
                "this model never trained without labels (label_dropout=0): give c= and leave "
                "guidance at 1, or train it with label_dropout=0.1"
            )
        if context is None:
            if guidance != 1.0:
                raise CapabilityError(f"guidance {guidance} needs labels to guide towards: give c=")
            return self.denoiser
        if guidance != 1.0 and not self._conditional:
            raise CapabilityError(
                f"guidance {guidance} needs a model that also trained without its context, but "
                f"{type(self.denoiser.net).__name__} has neither num_classes nor context_size"
            )
        guided = self.denoiser if guidance == 1.0 else ClassifierFree(self.denoiser, guidance)
        return given(guided, context)

    def _context(self, c: Any, n: int) -> Tensor | None:
        """What the network is told beside the time, one row per state, checked."""
        return network.context(self.denoiser.net, c, n, self.device)

    def _prior(self, n: int, t: float, generator: torch.Generator) -> Tensor:
        units = self._units()
        prior = self.process.prior(units.event_shape, t)
        return prior.sample(n, generator=generator).to(units.shift)
