"""Diffusion models: a network that predicts what noise has hidden, on any space."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from pushforward import checks, config, grids, registry, samplers, state
from pushforward import times as time_laws
from pushforward._random import RowNoise, fresh_seed, generator_or_global, resolve, start_noise
from pushforward.condition import Condition
from pushforward.config import configurable, made
from pushforward.errors import CapabilityError, InputError
from pushforward.estimates import Capabilities, LogProb
from pushforward.guidance import conditioned
from pushforward.models.chain_bound import chain_bound
from pushforward.models.denoiser import Denoiser, Transports, denoiser_of_process
from pushforward.models.infilling import infilled
from pushforward.models.model import GenerativeModel, Progress, finite, parts_of, with_density
from pushforward.models.networks import networks_for
from pushforward.models.objective import weighted
from pushforward.models.on_space import on_space_of
from pushforward.models.predictor import Predictor
from pushforward.models.process_density import about_density, density_kind, process_log_prob
from pushforward.models.simulation import simulate, times_of
from pushforward.models.trainable import BOUND_AT_TIMES, ERROR_OF_PREDICTION, Trainable
from pushforward.models.trajectory import Moment, Trajectory, filmed
from pushforward.parametrizations import Parametrization
from pushforward.processes import Gaussian, GenerativeProcess
from pushforward.protocols import Sampler, Transport, matching_loss
from pushforward.weightings import Weighting

__all__ = ["Diffusion"]


@configurable
class Diffusion(GenerativeModel, Trainable):
    """A model of the reversal of a process from data to a prior, on the space of the process.

    Args:
        net: any module `net(x, t, c)` with states `x`, times `t` `(B,)` and `c` labels `(B,)`,
            contexts `(B, context)` or `None`. It returns what the process reads: the shape of `x`
            for vectors, functions and manifolds, logits for tokens, tuples for products and point
            sets (`model.predictor.reading.output_shape`). `Diffusion.for_data` makes one.
        process: how data are lost; Gaussian noise, variance preserving, by default.
        predict: what the network puts out, where there is a choice: for Gaussian processes `noise`,
            `data`, `v` (the default), `score`, `velocity`, `edm`, or a parametrization.
        times: the distribution of training times; stratified uniform by default.
        weight: how errors at different times count (`weightings`); by default each as the error of
            the network's own output.
        label_dropout: the fraction of labels or contexts hidden in training, which classifier-free
            guidance needs (`pushforward.condition`).
        grid: where samplers step unless told otherwise, by default that of the process; `fit_grid`
            fits it to the trained model.
        event_shape: the shape of one data point, if known.
        context_network: makes vectors of contexts, trained along: any module `c -> (B, context)`.

    >>> import pushforward as pf
    >>> model = pf.Diffusion(pf.nn.MLP(2, width=16), event_shape=(2,))
    >>> model.sample(3, steps=4, seed=0).shape
    torch.Size([3, 2])
    """

    space_from, networks = "process", ("net",)
    defaults: ClassVar[Mapping[str, Any]] = {"process": "gaussian"}

    def __init__(
        self,
        net: nn.Module,
        process: GenerativeProcess | None = None,
        predict: str | Parametrization | None = None,
        times: str | time_laws.TimeDistribution = "stratified",
        weight: str | Weighting = "output",
        label_dropout: float = 0.1,
        grid: str | grids.Grid | None = None,
        event_shape: int | state.EventShape | None = None,
        context_network: nn.Module | None = None,
    ) -> None:
        super().__init__(event_shape)
        self.process: GenerativeProcess = Gaussian() if process is None else process
        if not isinstance(self.process, GenerativeProcess):
            raise InputError(f"the process is one of pushforward.processes, not {process!r}")
        self.space, self.times = self.process.space, registry.resolve("times", times)
        self.loss_meaning = BOUND_AT_TIMES if self.process.loss_bounds else ERROR_OF_PREDICTION
        self.grid: grids.Grid = registry.resolve("grids", grid or self.process.grid)
        self.predictor = Predictor(net, self.process.reading(predict))
        self.condition = Condition.of(net, label_dropout, anything=True)
        self.weight: Weighting = registry.resolve("weightings", weight)
        weighted(self.predictor, self.process, self.weight)
        self._ready(context_network)

    @classmethod
    def for_data(cls, data: Any, *, labels: bool = True, net: Any = "auto", **options: Any) -> Self:
        """A model with a network that fits the data and the process; on the space that data say.

        `net` is `auto`, the short name of a network, or a network; `options` are the constructor's.
        """
        options = on_space_of(cls, options, data)
        process = options.get("process") or Gaussian()
        reading = process.reading(options.get("predict"))
        return made(cls, options, **networks_for(net, process, reading, data, labels, options))

    @classmethod
    def space_for(cls, options: dict[str, Any]) -> Any:
        """That of the process."""
        return (options.get("process") or Gaussian()).space

    @property
    def capabilities(self) -> Capabilities:
        """Samples; densities, guidance and denoised states where the process has them."""
        supports = self.process.supports
        return Capabilities(
            sample=True,
            log_prob=density_kind(self.process),
            conditional=self.condition.conditional,
            guidance="guidance" in supports and self.condition.conditional,
            trajectory=True,
            variational_bound="denoised" in supports,
        )

    def about_sampling(self, options: dict[str, Any]) -> str | None:
        """Where the path of the samples ends."""
        end = self._end(options.get("stop"))
        if end <= 0:
            return None
        left = " with its noise left" if options.get("denoise") is False else ", then denoised"
        return f"the path of the samples was followed to t = {end:g}{left}"

    def about_density(self, options: dict[str, Any]) -> str | None:
        """The time that the density is of, or what the bound holds."""
        return about_density(self.process, self._end(options.get("stop")))

    def doubts(self, x: Any) -> list[str]:
        """What the process says of the data."""
        return self.process.doubts(self.inward(x))

    def loss(
        self,
        x: Any,
        c: Any = None,
        *,
        generator: torch.Generator | None = None,
        rows: slice = slice(None),
    ) -> Tensor:
        r"""The loss of data at random times, `matching_loss`, shape `(B,)`.

        For a Gaussian process `w(t) |E[x_0 | x_t] - x_0|^2`, per dimension, with the weight of
        `weight` and of the distribution of `times`; see the `loss` of other processes.

        `rows` asks for a part of the batch only, as if it had been cut out of the loss of the
        whole. Without a generator, torch's global one is read.
        """
        z = self.inward(x)
        n, device, clock = state.rows(z), state.device(z), self.process.clock
        t = self.times.sample(n, clock, generator=generator, device=device).to(self.dtype)
        c = self.condition.rows(c, n, device)
        if self.training:
            c = self.condition.hidden(c, generator)
        if self.process.paired:
            z = (z, self._prior(n, generator_or_global(generator, device)))
        model, process = weighted(self.predictor, self.process, self.weight)
        loss = matching_loss(model, process, z, t, c, generator, rows)
        more = self.times.weights(t[rows], clock)
        return loss if more is None else loss * more

    @torch.no_grad()
    def sample(
        self,
        n: int,
        c: Any = None,
        *,
        sampler: str | Sampler | None = None,
        steps: int | None = None,
        grid: str | grids.Grid | None = None,
        start: float | None = None,
        stop: float | None = None,
        denoise: bool = True,
        guidance: float = 1.0,
        guidance_interval: tuple[float, float] | None = None,
        given: Any = None,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        batch_size: int | None = None,
        rows: slice = slice(None),
        progress: Progress | None = None,
        callback: Callable[[Moment], None] | None = None,
    ) -> Any:
        """Draw `n` states in data units.

        Args:
            n: how many.
            c: a label for all, or labels `(n,)`; `None` for the unconditional model.
            sampler: a short name (`pushforward list samplers`) or a sampler; by default the one
                that suits the process: `adams` for Gaussian noise.
            steps: steps of the sampler; the last one is the final denoising, if there is one.
            grid: where the steps are; by default the model's own.
            start: the first time, where the prior is drawn; that of the process by default.
            stop: the early stopping time; that of the process by default.
            denoise: take away at once what is left at `stop`: Gaussian noise leaves the posterior
                mean (one more evaluation).
            guidance: the strength of classifier-free guidance; 1 is the plain conditional model.
            guidance_interval: the first and the last time at which it acts; by default at all.
            given: known tokens, or numbers of points by kind; -1 where left open (`infilled`).
            seed: or a `generator` on the model's device. Row `k` depends on the seed and on `k`
                alone, but for adaptive samplers, whose steps are those of a whole batch.
            batch_size: states per evaluation of the network; by default what memory suggests.
            rows: draw this part of the `n` states only, as one of several processes does.
            progress: called with the number of finished and of all sampler steps.
            callback: called with a `Moment` at the prior and after each step of the sampler.

        Warns if states are not finite. Raises `InputError` for arguments that do not fit,
        `CapabilityError` for labels or guidance on a model without labels, for what the model was
        not trained to do without labels, or for a sampler that does not fit the process.
        """
        # At the very end no noise is left to remove.
        finish = denoise and self._end(stop) > 0
        steps = checks.whole("steps", self.process.steps if steps is None else steps, 1 + finish)
        times = times_of(self.process, grid or self.grid, steps - finish, start, stop)
        rule = registry.resolve("samplers", sampler or self.process.sampler)
        parts_of(n, batch_size, rows)
        context = self.condition.required(c, n, self.device)
        seed = fresh_seed(seed, generator)
        x = self._start(n, times[0], seed)
        transports = self._transport(context, guidance, guidance_interval)
        if given is not None:
            rule, x, transports = infilled(self.process, rule, x, transports, given)
        with self.evaluating():
            x = simulate(
                rule, transports, x, times, seed=seed, batch_size=batch_size, rows=rows,
                finish=finish, progress=progress, callback=callback, outward=self.outward,
            )  # fmt: skip
        return self.outward(finite(x))

    @torch.no_grad()
    def fit_grid(
        self,
        c: Any = None,
        *,
        steps: int = 10,
        sampler: str | Sampler | None = None,
        n: int = 64,
        guidance: float = 1.0,
        seed: int | None = 0,
    ) -> grids.FittedGrid:
        """Fit the sampling grid to this model, keep it in `grid`, and save it with the model.

        Takes some 130 evaluations of `n` states, for a sampler without noise at a number of
        `steps`; see `samplers.fit_grid`.
        """
        context = self.condition.required(c, n, self.device)
        rule = registry.resolve("samplers", sampler or self.process.sampler)
        prior = self._start(n, self.process.interval[0], fresh_seed(seed))
        with self.evaluating():
            transport = self._transport(context, guidance)(slice(0, n))
            self.grid = samplers.fit_grid(transport, prior, steps=steps, sampler=rule)
        config.amend(self, grid=self.grid)
        return self.grid

    def trajectory(
        self, n: int, c: Any = None, *, frames: int = 8, steps: int = 40, **options: Any
    ) -> Trajectory:
        """The reverse process as a film strip: times, states, and what the model makes of them.

        Equally spaced along the sampler's grid, in data units; `options` are those of `sample`.
        Raises `InputError` unless `2 <= frames <= steps`, and for a sampler that chooses its own
        steps.
        """
        rule = registry.resolve("samplers", options.pop("sampler", None) or self.process.sampler)
        denoises = "denoised" in self.process.supports
        return filmed(self.sample, n, c, frames, steps, denoises, sampler=rule, **options)

    @torch.no_grad()
    def noised(self, x: Any, times: list[float], *, seed: int | None = None) -> Any:
        """The forward process as a film strip: data at each time, one noise for all, in data units,
        with the times on a new first axis."""
        z = self.inward(x)
        n, device, seed = state.rows(z), state.device(z), fresh_seed(seed)
        z = (z, self._start(n, 1.0, seed)) if self.process.paired else z
        strip = [self.process.sample(z, t, RowNoise(seed, slice(0, n), device)) for t in times]
        return state.stack([self.outward(x_t) for x_t in strip])

    def denoiser(
        self, c: Any = None, n: int = 1, *, guidance: float = 1.0, root: Any = None
    ) -> Denoiser:
        """`E[x_0 | x_t]` of a Gaussian process, guided towards labels if asked."""
        transports = self._transport(self.condition.required(c, n, self.device), guidance)
        return denoiser_of_process(self.process, transports, self.grid, self.event_shape, root)

    @torch.no_grad()
    def log_prob(
        self,
        x: Any,
        c: Any = None,
        *,
        divergence: samplers.DivergenceMethod = "auto",
        probes: int = 8,
        probe_distribution: samplers.ProbeDistribution = "rademacher",
        steps: int = 64,
        tolerance: float | None = None,
        draws: int = 64,
        stop: float | None = None,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> LogProb:
        """Log-densities of data `(B, *event)` in nats per state, in data units, without gradients.

        By the probability-flow ODE from `stop`, whose distribution the density is of, to the prior:
        see `samplers.log_prob` for the divergence, a `tolerance` in the place of `steps`, and the
        error that comes back. Of tokens, and of products with them, a lower bound by `draws` of the
        time (`samplers.evidence_bound`), or of what blocks hide (`samplers.block_evidence_bound`).
        States go through the network by `batch_size`, by default as many as keep a GiB. Raises
        `CapabilityError` for a process without either, `InputError` for states that are not finite.
        """
        return process_log_prob(
            self, x, c, divergence=divergence, probes=probes,
            probe_distribution=probe_distribution, steps=steps, tolerance=tolerance, draws=draws,
            stop=stop, generator=resolve(seed, generator, self.device), batch_size=batch_size,
            progress=progress,
        )  # fmt: skip

    @torch.no_grad()
    def variational_bound(
        self,
        x: Tensor,
        c: Any = None,
        *,
        steps: int = 100,
        variance: Literal["posterior", "beta"] | samplers.Variance = "posterior",
        level: float | None = None,
        stop: float | None = None,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> samplers.VariationalBound:
        """The bound of `-log p(x)` by a chain of `steps`, term by term, in data units and nats.

        Times are equal in the log signal-to-noise ratio, or those of a `schedules.Chain`. `level`
        is the distance between the levels of quantized data, whose probability is then bounded in
        the place of the density. `stop` is the time of the last step: noise of `s` levels, far
        below one, costs `-log(4.13 s)` nats a number, so stop where it is about half a level.
        """
        self._needs("denoised", "variational bound")
        z = with_density(self.inward(x))
        times = self.process.clock.chain_times(stop)
        if times is None:
            times = times_of(self.process, self.process.grid, steps - 1, None, stop)[::-1]
        transport = self._transport(self.condition.required(c, len(z), self.device), 1.0)
        with self.evaluating():
            return chain_bound(
                self, transport, z, times, variance=variance, level=level, progress=progress,
                generator=resolve(seed, generator, self.device), batch_size=batch_size,
            )  # fmt: skip

    def flow(
        self, c: Any = None, n: int = 1, *, tolerance: float = 1e-6
    ) -> samplers.ProbabilityFlow:
        """The probability flow as a `Bijection` of noise and states, in the units of the process,
        for `n` states if there is a context. The model is left in evaluation mode."""
        self._needs("density", "invertible flow")
        self.known_units()
        transport = self._transport(self.condition.required(c, n, self.device), 1.0)(slice(0, n))
        solver = samplers.DormandPrince(rtol=tolerance, atol=tolerance)
        return samplers.ProbabilityFlow(transport, *self.eval().process.interval, solver)

    # -- inside ---------------------------------------------------------------------------------

    def _end(self, stop: float | None) -> float:
        """Where a path ends, unless told otherwise."""
        return self.process.interval[1] if stop is None else stop

    def _transport(self, context: Any, guidance: float, interval: Any = None) -> Transports:
        """The predictor in the context of some rows, guided, with its process."""
        if guidance != 1.0:
            self._needs("guidance", "guidance")

        def of(rows: Any) -> Transport:
            own = None if context is None else state.take(context, rows)
            model = conditioned(self.predictor, self.condition, own, guidance, interval)
            return Transport(model, self.process)

        return of

    def _needs(self, what: str, wish: str) -> None:
        if what not in self.process.supports:
            kind = type(self.process).__name__
            raise CapabilityError(f"{kind} has no {wish}: Gaussian processes have it")

    def _start(self, n: int, t: float, seed: int) -> Any:
        return self._prior(n, start_noise(seed, slice(0, n), self.device), t)

    def _prior(self, n: int, generator: torch.Generator, t: float = 1.0) -> Any:
        self.known_units()
        prior = self.process.prior(self.space.state_shape(self.event_shape), t)
        return state.to(prior.sample(n, generator=generator), self.device, self.dtype)
