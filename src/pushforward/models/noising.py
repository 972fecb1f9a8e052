"""Densities of the families that noise data by a Gaussian process."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

from pushforward import grids, samplers
from pushforward._autograd import ProbeLaw
from pushforward._random import resolve
from pushforward._shapes import not_finite
from pushforward.config import named
from pushforward.errors import InputError
from pushforward.estimates import Capabilities, LogProb
from pushforward.models import requests
from pushforward.models.batch_size import rows_in_memory
from pushforward.models.family import Family
from pushforward.processes import Gaussian
from pushforward.protocols import Model, Time, Transport
from pushforward.schedules import Chain

__all__ = ["Noising"]

Progress = Callable[[int, int], None]


class Noising(Family):
    """A family with a `Gaussian` process and a model of its posterior mean."""

    process: Gaussian
    grid: grids.Grid

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What the model can do."""

    @abstractmethod
    def _model(self, context: Tensor | None, guidance: float) -> Model:
        """The posterior mean in a context, guided."""

    @abstractmethod
    def _context(self, c: Any, n: int) -> Tensor | None:
        """What the network is told beside the time, one row per state, checked."""

    def _grid(
        self, grid: str | grids.Grid | None, steps: int, start: float | None, stop: float | None
    ) -> list[float]:
        rule = named(grid or self.grid, grids.NAMES, "grid")
        return rule(self.process.schedule, steps, start=start, stop=stop)

    def _finite(self, x: Tensor) -> Tensor:
        """States in the units of the process. Raises `InputError` if some are not finite."""
        z = self._inward(x)
        bad = not_finite(z)
        if bad:
            raise InputError(f"{bad} of {len(x)} states are not finite: they have no density")
        return z

    @torch.no_grad()
    def log_prob(
        self,
        x: Tensor,
        c: Any = None,
        *,
        divergence: samplers.DivergenceMethod = "auto",
        probes: int = 8,
        probe_law: ProbeLaw = "rademacher",
        steps: int = 64,
        tolerance: float | None = None,
        stop: float | None = None,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> LogProb:
        """Log-densities of data `(B, *event)` in nats per state, in data units.

        By the probability-flow ODE from `stop` (the schedule's `t_min` by default) to the prior:
        see `samplers.log_prob` for the divergence, a `tolerance` in the place of `steps`, and the
        error that comes back. The
        density is that of the model's law at `stop`, whose noise is `sigma_stop`. States go through
        the network by `batch_size`, by default as many as keep a GiB for their derivatives.

        Raises `InputError` for states that are not finite, or arguments that do not fit.
        """
        z = self._finite(x)
        times = self._grid("log-snr", steps, None, stop)[::-1]
        generator = resolve(seed, generator, self.device)
        labels = self._context(c, len(z))
        prior = self.process.prior(tuple(z.shape[1:]), times[-1])
        parts = []
        with self._evaluating():
            rows = requests.batches(len(z), batch_size or self._rows_in_memory(z, labels))
            # Heun's two evaluations a step, on the grid and on every second time of it. How many an
            # adaptive solver takes is not known before.
            each = 3 * (len(times) - 1) if tolerance is None else 1
            for k, part in enumerate(rows):
                context = None if labels is None else labels[part]
                model = self._model(context, 1.0)
                if progress is not None and tolerance is None:
                    model = _counted(model, progress, k * each, len(rows) * each)
                parts.append(
                    samplers.log_prob(
                        Transport(model, self.process),
                        prior,
                        z[part],
                        times,
                        divergence=divergence,
                        probes=probes,
                        probe_law=probe_law,
                        tolerance=tolerance,
                        generator=generator,
                    )
                )
                if progress is not None:
                    progress((k + 1) * each, len(rows) * each)
        shift = self._units().log_det_inverse()
        return LogProb(
            torch.cat([p.value for p in parts]) + shift,
            torch.cat([p.stderr for p in parts]),
            "ode",
            parts[0].nfe,
            torch.cat([p.error for p in parts if p.error is not None]),
        )

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

        The times are equal in the log signal-to-noise ratio; on a `schedules.Chain` they are those
        of the chain. `level` is the distance between the levels of quantized data: the bound is
        then one of the probability of the levels; without it, of the density. See
        `samplers.variational_bound`.

        `stop` is the time of the last step, to the data (the schedule's `t_min` by default). At any
        it is a bound, but noise far below a `level` is coded for nothing: with a standard deviation
        of `s` levels, at `-log(4.13 s)` nats a number. Stop where the noise is about half a level.
        """
        if level is not None and not level > 0:
            raise InputError(f"the distance of two levels is positive, not {level}")
        z, units = self._finite(x), self._units()
        schedule = self.process.schedule
        if isinstance(schedule, Chain):
            times = [k / len(schedule.betas) for k in range(1, len(schedule.betas) + 1)]
            times = [t for t in times if stop is None or t >= stop]
        else:
            times = self._grid("log-snr", steps - 1, None, stop)[::-1]
        width = None if level is None else level / units.scale.expand(units.event_shape)
        labels = self._context(c, len(z))
        generator = resolve(seed, generator, self.device)
        parts = []
        with self._evaluating():
            rows = requests.batches(len(z), batch_size or self._rows_in_memory(z, labels))
            for k, part in enumerate(rows, start=1):
                context = None if labels is None else labels[part]
                parts.append(
                    samplers.variational_bound(
                        Transport(self._model(context, 1.0), self.process),
                        z[part],
                        times,
                        variance=variance,
                        bin_width=width,
                        generator=generator,
                    )
                )
                if progress is not None:
                    progress(k, len(rows))
        bound = samplers.VariationalBound.concatenated(parts)
        if level is None:
            cost = bound.reconstruction - units.log_det_inverse().double()
            bound = replace(bound, reconstruction=cost)
        return bound

    def _rows_in_memory(self, z: Tensor, labels: Tensor | None) -> int:
        """How many states a batch may have for its derivatives to fit into memory."""

        def field(x: Tensor) -> Tensor:
            context = None if labels is None else labels[: len(x)]
            return self._model(context, 1.0)(x, 0.5 * self.process.schedule.t_max)

        return rows_in_memory(field, z[:2]) if len(z) > 1 else 1

    def flow(
        self, c: Any = None, n: int = 1, *, tolerance: float = 1e-6
    ) -> samplers.ProbabilityFlow:
        """The probability flow as a map from noise to standardized data and back; see there.

        A `Bijection` of states in the units of the process, for `n` states if there is a context.
        """
        self._units()
        schedule = self.process.schedule
        transport = Transport(self._model(self._context(c, n), 1.0), self.process)
        solver = samplers.DormandPrince(rtol=tolerance, atol=tolerance)
        self.eval()
        return samplers.ProbabilityFlow(transport, schedule.t_max, schedule.t_min, solver)


def _counted(model: Model, progress: Progress, done: int, total: int) -> Model:
    """A model that reports each of its evaluations."""

    def evaluate(x_t: Any, t: Time, c: Any = None) -> Any:
        nonlocal done
        done += 1
        progress(min(done, total), total)
        return model(x_t, t, c)

    return evaluate
