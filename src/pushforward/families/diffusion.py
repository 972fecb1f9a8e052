"""Diffusion models: a network that predicts what noise has hidden."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pushforward import config, grids, parametrizations, samplers
from pushforward import times as time_laws
from pushforward._random import resolve
from pushforward._shapes import combine
from pushforward.config import configurable, named
from pushforward.errors import CapabilityError, InputError
from pushforward.estimates import Capabilities, LogProb
from pushforward.families import requests, saving
from pushforward.families.denoiser import Denoiser
from pushforward.guidance import ClassifierFree, given
from pushforward.guidance.classifier_free import NULL_LABEL
from pushforward.parametrizations import Parametrization
from pushforward.processes import Gaussian
from pushforward.protocols import Model, Sampler, State, Transport, matching_loss
from pushforward.transforms import Standardize

__all__ = ["Diffusion"]

Progress = Callable[[int, int], None]


@configurable
class Diffusion(nn.Module):
    """A diffusion model of data in R^d: vectors, images, signals.

    Args:
        net: any module `net(x, t, c)` that returns the shape of `x`, with `t` of shape `(B,)` and
            `c` labels `(B,)` or `None`; without an attribute `num_classes`, any `c` `(B, ...)`.
        process: how noise is added; variance preserving by default.
        predict: what the network puts out: `noise`, `data`, `v`, `score`, `velocity`, `edm`, or a
            parametrization.
        times: the law of training times; stratified uniform by default.
        label_dropout: the fraction of labels hidden in training (label -1), which
            classifier-free guidance needs. Only for networks with `num_classes`.
        event_shape: the shape of one data point, if known before training.

    States cross this class in data units; the shift and scale that `standardize` fits are kept and
    saved inside.

    >>> import pushforward as pf
    >>> model = pf.Diffusion(pf.nn.MLP(2, width=16), event_shape=(2,))
    >>> model.sample(3, steps=4, seed=0).shape
    torch.Size([3, 2])
    """

    standardizer: Standardize | None

    def __init__(
        self,
        net: nn.Module,
        process: Gaussian | None = None,
        predict: str | Parametrization = "v",
        times: str | time_laws.TimeLaw = "stratified",
        label_dropout: float = 0.1,
        event_shape: int | tuple[int, ...] | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(net, nn.Module):
            raise InputError(f"the network is an nn.Module, not {net!r}")
        self.process = Gaussian() if process is None else process
        if not isinstance(self.process, Gaussian):
            raise InputError(
                f"Diffusion noises data by a Gaussian process, not {self.process!r}: "
                "processes.Gaussian(schedule)"
            )
        if not 0 <= label_dropout < 1:
            raise InputError(f"label_dropout is a fraction in [0, 1), not {label_dropout}")
        self.label_dropout = label_dropout
        self.times = named(times, time_laws.NAMES, "law of training times")
        table = named(predict, parametrizations.NAMES, "prediction")
        self.denoiser = Denoiser(net, self.process.schedule, table)
        self.standardizer = None
        shape = (event_shape,) if isinstance(event_shape, int) else event_shape
        if shape is not None:
            self._set_event_shape(tuple(shape))

    # -- what it is -----------------------------------------------------------------------------

    @property
    def event_shape(self) -> tuple[int, ...] | None:
        """The shape of one data point, `None` before it is known."""
        return None if self.standardizer is None else self.standardizer.event_shape

    @property
    def num_classes(self) -> int | None:
        """The number of labels that the network knows, `None` if it takes none."""
        return getattr(self.denoiser.net, "num_classes", None)

    @property
    def capabilities(self) -> Capabilities:
        """Samples, log-densities by the probability-flow ODE, labels if the network takes them."""
        return Capabilities(True, "ode", self.num_classes is not None)

    def describe(self) -> dict[str, Any]:
        """The model as plain values, without its weights."""
        return config.describe(self, unnamed="net")

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write configuration, manifest and weights to a folder; `pushforward.load` reads it."""
        return saving.save(self, folder)

    # -- learning -------------------------------------------------------------------------------

    def standardize(self, x: Tensor) -> None:
        """Fit shift and scale to training data `(N, *event)`, and learn the event shape from it.

        Raises `InputError` if the event shape differs from the one already known.
        """
        self._check_events(x)
        assert self.standardizer is not None
        self.standardizer.fit(x)

    def loss(self, x: Tensor, c: Any = None, *, generator: torch.Generator | None = None) -> Tensor:
        r"""The denoising loss of data `(B, *event)`, shape `(B,)`.

        `E |E[x_0 | x_t] - x_0|^2 / out_t^2` at random times, per dimension: the squared error of
        the network's own output (`parametrizations`).
        """
        self._check_events(x)
        z = self._inward(x)
        schedule = self.process.schedule
        t = self.times.sample(len(z), schedule, generator=generator, device=z.device).to(z.dtype)
        c = self._hidden(self._context(c, len(z)), generator)
        out = self.denoiser.table(schedule, t).out
        return matching_loss(self.denoiser, self.process, z, t, c, generator) / out**2

    # -- sampling -------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(
        self,
        n: int,
        c: Any = None,
        *,
        sampler: str | Sampler = "dpm++2m",
        steps: int = 20,
        grid: str | grids.Grid | None = None,
        start: float | None = None,
        stop: float | None = None,
        denoise: bool = True,
        guidance: float = 1.0,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """Draw `n` states in data units, `(n, *event)`.

        Args:
            n: how many.
            c: a label for all, or labels `(n,)`; `None` for the unconditional model.
            sampler: a short name (`pushforward list samplers`) or a sampler.
            steps: steps of the sampler; the last one is the final denoising, if there is one.
            grid: where the steps are; equal in log-SNR by default.
            start: the first time, where the prior is drawn; the schedule's `t_max` by default.
            stop: the early stopping time; the schedule's `t_min` by default.
            denoise: replace the state at `stop` by its posterior mean, which removes the noise
                left there (one more evaluation).
            guidance: the strength of classifier-free guidance; 1 is the plain conditional model.
            seed: or a `generator` on the model's device.
            batch_size: states per evaluation of the network; all at once by default.
            progress: called with the number of finished and of all sampler steps.

        Warns if states are not finite. Raises `InputError` for arguments that do not fit,
        `CapabilityError` for labels or guidance on a model without labels, for what the model was
        not trained to do without labels, or for a sampler that does not fit the process.
        """
        times = self._grid(grid, requests.solver_steps(steps, denoise), start, stop)
        # At the very end no noise is left to remove.
        denoise = denoise and times[-1] > 0
        rule = samplers.resolve(sampler)
        generator = resolve(seed, generator, self.device)
        rows = requests.batches(n, batch_size)
        labels = self._context(c, n)
        # Drawn at once, so that an ODE sampler's result does not depend on the batch size.
        prior = self._prior(n, times[0], generator)
        done, total = 0, len(rows) * (len(times) - 1)
        out = []

        def report(k: int, t: float, state: State) -> None:
            nonlocal done
            done += 1
            if progress is not None:
                progress(done, total)

        with self._evaluating():
            for part in rows:
                context = None if labels is None else labels[part]
                transport = Transport(self._model(context, guidance), self.process)
                x = samplers.run(
                    rule, transport, prior[part], times, generator=generator, callback=report
                )
                out.append(transport.model(x, times[-1]) if denoise else x)
        return self._outward(requests.finite(torch.cat(out)))

    @torch.no_grad()
    def trajectory(
        self,
        n: int,
        c: Any = None,
        *,
        frames: int = 8,
        sampler: str | Sampler = "dpm++2m",
        steps: int = 40,
        guidance: float = 1.0,
        seed: int | None = None,
    ) -> tuple[list[float], Tensor]:
        """The reverse process as a film strip: times and states `(frames, n, *event)`.

        From the prior to the last state, equally spaced along the sampler's grid, in data units.
        Raises `InputError` for fewer than two frames or fewer steps than frames.
        """
        if not 2 <= frames <= steps:
            raise InputError(f"need 2 <= frames <= steps, not {frames} frames of {steps} steps")
        times = self._grid(None, steps, None, None)
        generator = resolve(seed, None, self.device)
        transport = Transport(self._model(self._context(c, n), guidance), self.process)
        prior = self._prior(n, times[0], generator)
        with self._evaluating():
            states = samplers.trajectory(
                samplers.resolve(sampler), transport, prior, times, generator=generator
            )
        chosen = [round(k * steps / (frames - 1)) for k in range(frames)]
        return [times[k] for k in chosen], torch.stack([self._outward(states[k]) for k in chosen])

    @torch.no_grad()
    def noised(self, x: Tensor, times: list[float], *, seed: int | None = None) -> Tensor:
        """The forward process as a film strip: data `(B, *event)` at each time, one noise for all.

        Shape `(len(times), B, *event)`, in data units.
        """
        self._check_events(x)
        z = self._inward(x)
        noise = self.process.space.randn(z, resolve(seed, None, z.device))
        levels = [self.process.schedule.values(t) for t in times]
        return torch.stack([self._outward(combine(level, (z, noise))) for level in levels])

    # -- density --------------------------------------------------------------------------------

    @torch.no_grad()
    def log_prob(
        self,
        x: Tensor,
        c: Any = None,
        *,
        divergence: samplers.DivergenceMethod = "auto",
        probes: int = 8,
        steps: int = 64,
        stop: float | None = None,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> LogProb:
        """Log-densities of data `(B, *event)` in nats per state, in data units.

        By the probability-flow ODE from `stop` (the schedule's `t_min` by default) to the prior:
        see `samplers.log_prob` for `divergence`, `probes` and the error that comes back. The
        density is that of the model's law at `stop`, whose noise is `sigma_stop`.

        Raises `InputError` for states that are not finite, or arguments that do not fit.
        """
        self._check_events(x)
        assert self.standardizer is not None
        bad = int((~x.flatten(1).isfinite()).any(-1).sum())
        if bad:
            raise InputError(f"{bad} of {len(x)} states are not finite: they have no density")
        z = self._inward(x)
        times = self._grid(None, steps, None, stop)[::-1]
        generator = resolve(seed, generator, self.device)
        labels = self._context(c, len(z))
        prior = self.process.prior(tuple(z.shape[1:]), times[-1])
        rows = requests.batches(len(z), batch_size)
        parts = []
        with self._evaluating():
            for k, part in enumerate(rows, start=1):
                context = None if labels is None else labels[part]
                transport = Transport(self._model(context, 1.0), self.process)
                parts.append(
                    samplers.log_prob(
                        transport,
                        prior,
                        z[part],
                        times,
                        divergence=divergence,
                        probes=probes,
                        generator=generator,
                    )
                )
                if progress is not None:
                    progress(k, len(rows))
        shift = self.standardizer.log_det_inverse()
        return LogProb(
            torch.cat([p.value for p in parts]) + shift,
            torch.cat([p.stderr for p in parts]),
            "ode",
            parts[0].nfe,
            torch.cat([p.error for p in parts if p.error is not None]),
        )

    # -- inside ---------------------------------------------------------------------------------

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next((p.device for p in self.parameters()), torch.device("cpu"))

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        """Evaluation mode for the network, the former mode afterwards."""
        training = self.training
        self.eval()
        try:
            yield
        finally:
            self.train(training)

    def _model(self, context: Tensor | None, guidance: float) -> Model:
        """The denoiser with its context, guided; `CapabilityError` for what it never learned."""
        free = context is None or guidance != 1.0
        if free and self.num_classes is not None and self.label_dropout == 0:
            raise CapabilityError(
                "this model never trained without labels (label_dropout=0): give c= and leave "
                "guidance at 1, or train it with label_dropout=0.1"
            )
        if context is None:
            if guidance != 1.0:
                raise CapabilityError(f"guidance {guidance} needs labels to guide towards: give c=")
            return self.denoiser
        guided = self.denoiser if guidance == 1.0 else ClassifierFree(self.denoiser, guidance)
        return given(guided, context)

    def _context(self, c: Any, n: int) -> Tensor | None:
        """What the network is told beside the time, one row per state, checked."""
        if c is None:
            return None
        if hasattr(self.denoiser.net, "num_classes"):
            return requests.labels(c, n, self.num_classes, self.device)
        return requests.context(c, n, self.device)

    def _hidden(self, c: Tensor | None, generator: torch.Generator | None) -> Tensor | None:
        """Labels, in training some of them hidden, which teaches the model without labels too."""
        if c is None or self.num_classes is None or not self.training or self.label_dropout == 0:
            return c
        hidden = torch.rand(c.shape, generator=generator, device=c.device) < self.label_dropout
        return torch.where(hidden, NULL_LABEL, c)

    def _prior(self, n: int, t: float, generator: torch.Generator) -> Tensor:
        if self.standardizer is None:
            raise InputError(
                "the shape of a data point is not known yet: train the model, or give event_shape="
            )
        prior = self.process.prior(self.standardizer.event_shape, t)
        return prior.sample(n, generator=generator).to(self.standardizer.shift)

    def _grid(
        self, grid: str | grids.Grid | None, steps: int, start: float | None, stop: float | None
    ) -> list[float]:
        rule = named(grid or "log-snr", grids.NAMES, "grid")
        return rule(self.process.schedule, steps, start=start, stop=stop)

    def _check_events(self, x: Tensor) -> None:
        """Learn the event shape from the first data seen, and hold all later data to it."""
        if not (isinstance(x, Tensor) and x.is_floating_point()):
            kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
            raise InputError(f"data is a floating-point tensor, not {kind}: use x.float()")
        if x.ndim < 2:
            raise InputError(f"data has shape (B, *event), not {tuple(x.shape)}")
        if self.standardizer is None:
            self._set_event_shape(tuple(x.shape[1:]))
            assert self.standardizer is not None
            self.standardizer.to(x.device)
        if tuple(x.shape[1:]) != self.event_shape:
            raise InputError(f"a data point has shape {self.event_shape}, not {tuple(x.shape[1:])}")

    def _set_event_shape(self, shape: tuple[int, ...]) -> None:
        self.standardizer = Standardize(shape)
        config.amend(self, event_shape=shape)

    def _inward(self, x: Tensor) -> Tensor:
        assert self.standardizer is not None
        # In the precision of the model, whatever that of the data.
        return self.standardizer.standardized(x).to(self.standardizer.shift.dtype)

    def _outward(self, z: Tensor) -> Tensor:
        assert self.standardizer is not None
        return self.standardizer(z)
