"""Models that carry one distribution to another: maps both ways, densities, energies of paths."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from pushforward import checks, config, registry, samplers, state
from pushforward._random import derived_seed, fresh_seed, resolve, start_noise
from pushforward.errors import CapabilityError, InputError
from pushforward.estimates import Capabilities, LogProb
from pushforward.models.model import GenerativeModel, Progress, finite, parts_of, with_density
from pushforward.models.ode_likelihood import ode_log_prob
from pushforward.models.path_integral import Rate, integral_along_paths
from pushforward.models.scales import Scale, fit_to_both, unequal_columns, unit_length
from pushforward.models.simulation import part_of_progress, simulate, times_of
from pushforward.models.source import Source
from pushforward.processes import GenerativeProcess
from pushforward.protocols import Sampler, Transport
from pushforward.samplers.adaptive import Adaptive
from pushforward.spaces import ContinuousSpace

__all__ = ["End", "TransportMap"]

End = Literal["source", "target"]


class TransportMap(GenerativeModel):
    r"""A model that carries a source, at `t = 1`, to a target, at `t = 0`.

    The source is data, of which the model keeps some rows, or the prior of its process. Trained
    with a source, both sides share shift and scale: one number, so that distances and noise are in
    units of the data, or with `scale="columns"` one for each column, so that both are in
    standardized units. A subclass says what moves the states: `process_in_units` and `_transport`.
    """

    maps_distributions = True

    source: Source

    scale: Scale = "common"
    """Of distances, where it starts from data: see `models.scales`."""

    @abstractmethod
    def process_in_units(self) -> GenerativeProcess:
        """The process in the units of the model."""

    @abstractmethod
    def _transport(self, context: Any) -> Callable[[slice], Transport]:
        """The model, closed over the context of some rows, with its process."""

    # -- what it is -----------------------------------------------------------------------------

    @property
    def has_source(self) -> bool:
        """Whether the model starts from data, and not from noise."""
        return len(self.source) > 0

    @property
    def starts_from_noise(self) -> bool:
        """Whether the source is the prior of the process, in units of its own."""
        return not self.has_source

    @property
    def capabilities(self) -> Capabilities:
        """Samples; log-densities by the ODE where the density of the source is known."""
        density = self.starts_from_noise and "density" in self.process_in_units().supports
        return Capabilities(True, "ode" if density else "none", self.condition.conditional)

    @property
    def length(self) -> Any:
        """The length in data units that is 1 inside the model, a tuple for products; 1 if the
        source is noise, or if columns have scales of their own.

        Noise along the path is divided by this.
        """
        return unit_length(self.known_units(), self.scale) if self.has_source else 1.0

    @property
    def default_sampler(self) -> str:
        """The short name of what maps are computed with unless told otherwise."""
        return self.process_in_units().sampler

    # -- units and source -----------------------------------------------------------------------

    def keep_source(self, source: Any) -> None:
        """Keep up to 5,000 rows of the source, drawn once, and save them inside.

        Raises `InputError` for fewer than two rows, values that are not finite, or states of
        another shape than those known.
        """
        self.known_units(source)
        self.source.keep(source, next(self.parameters(), torch.empty(0)))
        config.amend(self, source_rows=len(self.source))

    def fit_units(self, x: Any, source: Any = None) -> None:
        """Fit shift and scale to the target and, if there is one, the source.

        The rows that are kept stand for the source, also for a model that trains on pairs of its
        own.
        """
        fit_to_both(self.known_units(x), self.space, x, self._kept, self.scale)

    def warnings(self, x: Any, c: Any = None) -> list[str]:
        """Whether columns are too unequal for one scale."""
        return unequal_columns(self.known_units(), x, self._kept, self.scale)

    @property
    def _kept(self) -> Any:
        return self.source.x if self.has_source else None

    # -- the maps -------------------------------------------------------------------------------

    @torch.no_grad()
    def forward(
        self,
        a: Any,
        c: Any = None,
        *,
        n: int | None = None,
        sampler: str | Sampler | None = None,
        steps: int | None = None,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> Any:
        """Where states of the source go, in data units; `model(a)` is the same.

        Args:
            a: states of the source; of a model that starts from noise, states of its prior.
            c: a label or context for all, or one for each.
            n: draw each state so many times, on a new first axis; once, without it, by default.
            sampler: a short name or a sampler: with `churn` random, else deterministic.
            steps: of the sampler; those of an adaptive one follow from its tolerance, and from the
                row of a batch that is hardest to follow.
            seed: or a `generator` on the model's device. What happens to row `k` depends on the
                seed and on `k`, not on the other rows, but for adaptive samplers, whose steps are
                those of the whole batch.
            batch_size: states per evaluation of the network; by default what memory suggests.
            progress: called with the number of finished and of all sampler steps.

        Warns if results are not finite. Raises `InputError` for states that do not fit.
        """
        return self._mapped(
            a, c, "target", n, sampler, steps, fresh_seed(seed, generator), batch_size, progress,
        )  # fmt: skip

    @torch.no_grad()
    def backward(
        self,
        b: Any,
        c: Any = None,
        *,
        n: int | None = None,
        sampler: str | Sampler | None = None,
        steps: int | None = None,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> Any:
        """Where states of the target come from; the rest as for `forward`."""
        return self._mapped(
            b, c, "source", n, sampler, steps, fresh_seed(seed, generator), batch_size, progress,
        )  # fmt: skip

    @torch.no_grad()
    def sample(
        self,
        n: int,
        c: Any = None,
        *,
        sampler: str | Sampler | None = None,
        steps: int | None = None,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        batch_size: int | None = None,
        rows: slice = slice(None),
        progress: Progress | None = None,
    ) -> Any:
        """Draw `n` states of the target in data units.

        They start from rows of the source that the model keeps, each as often as any other, or from
        the prior. What happens to row `k` depends on the seed and on `k` alone, not on `n`,
        `batch_size` or `rows`, but for adaptive samplers, whose steps are those of a whole batch.

        Args:
            n: how many.
            c: a label or context for all, or one for each.
            sampler: a short name (`pushforward list samplers`) or a sampler.
            steps: of the sampler.
            seed: or a `generator` on the model's device.
            batch_size: states per evaluation of the network; by default what memory suggests.
            rows: draw this part of the `n` states only, as one of several processes does.
            progress: called with the number of finished and of all sampler steps.

        Warns if states are not finite. Raises `InputError` for arguments that do not fit.
        """
        parts_of(n, batch_size, rows)
        seed = fresh_seed(seed, generator)
        context = self.condition.required(c, n, self.device)
        start = self._starts(n, start_noise(seed, slice(0, n), self.device), seed, context)
        cut = batch_size, rows
        x = self._carried(start, cut, context, "target", sampler, steps, seed, progress)
        return self.outward(finite(x))

    @torch.no_grad()
    def trajectory(
        self,
        a: Any,
        c: Any = None,
        *,
        sampler: str | Sampler | None = None,
        steps: int | None = None,
        seed: int = 0,
    ) -> Any:
        """The states on the way from the source to the target, `steps + 1` on a new first axis.

        In data units, the start included; where the source is noise, the start is put into them
        too. The arguments are those of `forward`, and the last states its result. Raises
        `InputError` for a sampler that chooses its own steps.
        """
        if isinstance(self._rule(sampler), Adaptive):
            raise InputError("an adaptive sampler chooses its own steps: take another to see them")
        z = self._entered(a)
        n = state.rows(z)
        context = self.condition.required(c, n, self.device)
        drawn = fresh_seed(seed)
        strip: list[Any] = []
        with self.evaluating():
            simulate(
                self._rule(sampler), self._transport(context), z, self._times(steps),
                batch_size=n, seed=drawn, outward=self.outward,
                callback=lambda moment: strip.append(moment.x),
            )  # fmt: skip
        return state.stack(strip)

    # -- density and energy ---------------------------------------------------------------------

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
        seed: int | None = None,
        generator: torch.Generator | None = None,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> LogProb:
        """Log-densities of the target in nats, in data units, without gradients.

        By the ODE, back to the prior of the source: see `samplers.log_prob` for the divergence, a
        `tolerance` in the place of `steps`, and the error that comes back. States go through the
        network by `batch_size`, by default as many as keep a GiB for their derivatives.

        Raises `CapabilityError` if the source is data, whose density is not known, or if the
        process has none; `InputError` for states that are not finite, or arguments that do not fit.
        """
        if self.capabilities.log_prob == "none":
            raise CapabilityError(
                "this model starts from data, whose density is not known: train it without a "
                "source to have log_prob"
                if not self.starts_from_noise
                else f"a flow of {type(self.process_in_units()).__name__} has no density here"
            )
        z = with_density(self.inward(x))
        context = self.condition.required(c, state.rows(z), self.device)
        prior = self.process_in_units().prior(self.space.state_shape(self.event_shape))
        with self.evaluating():
            return ode_log_prob(
                self, self._transport(context), prior, z, self._times(steps)[::-1],
                divergence=divergence, probes=probes, probe_distribution=probe_distribution,
                tolerance=tolerance, generator=resolve(seed, generator, self.device),
                batch_size=batch_size, progress=progress,
            )  # fmt: skip

    @torch.no_grad()
    def path_energy(
        self, a: Any, c: Any = None, *, steps: int = 50, batch_size: int | None = None
    ) -> Tensor:
        """`int |v|^2 dt` along the ODE from states of the source `(B, *event)`, `(B,)`.

        In squared data units where there is a source, those of standardized columns with
        `scale="columns"`, and otherwise in those of the noise. By
        Heun's method and the trapezoidal rule on the same steps. At least the squared distance of
        the two ends; its mean is at least `W_2^2` of the two distributions (Benamou & Brenier
        2000), as much for transport that is optimal.
        """

        def rate(transport: Transport, x: Tensor, t: float) -> Tensor:
            flow: Any = transport.dynamics(x, t)
            velocity: Tensor = flow.velocity
            return velocity

        return self._energy(a, c, samplers.Heun(), rate, steps, batch_size, 0)

    # -- inside ---------------------------------------------------------------------------------

    def _times(self, steps: int | None, towards: End = "target") -> list[float]:
        """Times from one end to the other."""
        process = self.process_in_units()
        steps = checks.whole("steps", process.steps if steps is None else steps)
        found = times_of(process, process.grid, steps)
        return found if towards == "target" else found[::-1]

    def _rule(self, sampler: str | Sampler | None) -> Sampler:
        return registry.resolve("samplers", sampler or self.default_sampler)

    def _entered(self, a: Any) -> Any:
        """States of the source in the units of the model. Raises unless they are finite."""
        if not self.starts_from_noise:
            return with_density(self.inward(a))
        self.known_units(a)
        return with_density(state.to(a, self.device, self.dtype))

    def _starts(self, n: int, noise: torch.Generator, seed: int, context: Any = None) -> Any:
        """`n` states of the source in a context, in the units of the model."""
        self.known_units()
        if self.has_source:
            order = torch.Generator(self.device).manual_seed(seed)
            return self.inward(self.source.draw(n, order))
        prior = self.process_in_units().prior(self.space.state_shape(self.event_shape))
        return state.to(prior.sample(n, generator=noise), self.device, self.dtype)

    def _energy(
        self,
        a: Any,
        c: Any,
        rule: Sampler,
        rate: Rate,
        steps: int,
        batch_size: int | None,
        seed: int,
    ) -> Tensor:
        """The integral of the squared rate along paths from the source, in squared data units."""
        z, times = self._entered(a), self._times(steps)
        if not (isinstance(z, Tensor) and isinstance(self.space, ContinuousSpace)):
            raise CapabilityError("jumps have no energy, parts of a product no common energy")
        transport = self._transport(self.condition.required(c, len(z), self.device))
        parts = parts_of(len(z), batch_size)
        with self.evaluating():
            found = integral_along_paths(rule, transport, z, times, parts, rate, seed)
        return found * self.length**2

    def _mapped(
        self,
        x: Any,
        c: Any,
        towards: End,
        n: int | None,
        sampler: str | Sampler | None,
        steps: int | None,
        seed: int,
        batch_size: int | None,
        progress: Progress | None,
    ) -> Any:
        draws = 1 if n is None else checks.whole("n", n)
        z = self._entered(x) if towards == "target" else with_density(self.inward(x))
        context = self.condition.required(c, state.rows(z), self.device)
        found, cut = [], (batch_size, slice(None))
        for draw in range(draws):
            each = progress and part_of_progress(progress, draw, draws)
            # There and back have noise of their own.
            back = towards == "source"
            own = derived_seed(seed, draw, back) if draw or back else seed
            found.append(self._carried(z, cut, context, towards, sampler, steps, own, each))
        ends = [finite(end) for end in found]
        if towards == "target" or not self.starts_from_noise:
            ends = [self.outward(end) for end in ends]
        return ends[0] if n is None else state.stack(ends)

    def _carried(
        self,
        z: Any,
        cut: tuple[int | None, slice],
        context: Any,
        towards: End,
        sampler: str | Sampler | None,
        steps: int | None,
        seed: int,
        progress: Progress | None,
    ) -> Any:
        """States carried to an end, in the units of the model."""
        times = self._times(steps, towards)
        with self.evaluating():
            return simulate(
                self._rule(sampler), self._transport(context), z, times, seed=seed,
                batch_size=cut[0], rows=cut[1], progress=progress,
            )  # fmt: skip
