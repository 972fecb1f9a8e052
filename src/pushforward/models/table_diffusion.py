"""A diffusion model of the rows of a table: numbers, words and missing cells as one joint law."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from pushforward import checks, grids, registry, state
from pushforward import times as time_laws
from pushforward._random import (
    fresh_seed,
    generator_or_global,
    resolve,
    start_noise,
    uniform,
)
from pushforward.config import configurable, made
from pushforward.errors import InputError
from pushforward.estimates import Capabilities, LogProb
from pushforward.models.diffusion import Diffusion
from pushforward.models.model import Progress, finite, with_density
from pushforward.models.predictor import Predictor
from pushforward.models.simulation import simulate, times_of
from pushforward.models.table_bound import row_bound
from pushforward.models.table_network import table_network
from pushforward.processes import GenerativeProcess, Held, ProductProcess, table_process
from pushforward.protocols import GaussianKernels, Sampler, Time, Transport, follows

__all__ = ["TableDiffusion"]


@configurable
class TableDiffusion(Diffusion):
    r"""A joint model of numbers and symbols, of which any columns can be given.

    A row of a table is a state of `pushforward.data.load(..., kinds="auto")`: scores of numbers,
    and symbols. Numbers are noised (Ho et al. 2020), symbols masked (Sahoo et al. 2024), each on
    its own given the row; the network couples them. In a share of the training rows some columns
    are known, so that `infill` draws the others given these: an exact draw of the model's
    conditional law, but for its training and its steps, since entries are lost independently and
    known ones are those that are not.

    Args:
        net: a `TableNetwork`, or any module `net(x, t, c, known)`.
        process: `table_process`, or a product with as many parts.
        columns: for each column of the table the numbers of its entry in the parts of a state, such
            as `[0, None]` for a number alone and `[None, 2]` for a symbol alone.
        infilling: the share of training rows in which columns are known.
        times: the distribution of training times.
        grid: where samplers step.
        event_shape: the shape of one state.

    >>> import pushforward as pf
    >>> table = {"a": ["1.5", "2.25", "0.5"] * 9, "b": ["x", "y", "x"] * 9}
    >>> data = pf.data.load(table, kinds={"a": "number", "b": "category"})
    >>> model = TableDiffusion.for_data(data)
    >>> x = model.sample(3, steps=4, seed=0)
    >>> sorted(data.schema.mixed.cells(x))
    ['a', 'b']
    """

    learns_kinds = True
    defaults: ClassVar[Mapping[str, Any]] = {}
    loss_meaning = (
        "The loss is the squared error of the noise direction of each number, and the evidence "
        "bound of the symbols in nats, summed over the columns that are not known."
    )

    def __init__(
        self,
        net: nn.Module,
        process: GenerativeProcess,
        columns: Sequence[Sequence[int | None]],
        infilling: float = 0.5,
        times: str | time_laws.TimeDistribution = "stratified",
        grid: str | grids.Grid | None = None,
        event_shape: state.EventShape | None = None,
    ) -> None:
        super().__init__(net, process, times=times, grid=grid, event_shape=event_shape)
        self.infilling = checks.number("infilling", infilling, least=0, most=1)
        self.columns = tuple((own[0], own[1]) for own in columns)

    @classmethod
    def for_data(cls, data: Any, *, labels: bool = True, net: Any = "auto", **options: Any) -> Self:
        """A model of a table that was read with `kinds=`.

        Raises `InputError` for other data.
        """
        coded = data.schema.mixed
        if coded is None:
            raise InputError(
                f"a {cls.__name__} learns the columns of a table by their kinds, and {data.name} "
                "was read without: load it with kinds='auto' (data.kinds=auto)"
            )
        process = options.pop("process", None) or table_process(coded.dimension, coded.sizes)
        if net == "auto":
            shape = process.reading().output_shape(data.event_shape)
            net = table_network(process.space, data.event_shape, shape)
        shape = data.event_shape
        return made(cls, options, net=net, process=process, columns=coded.places, event_shape=shape)

    @classmethod
    def space_for(cls, options: dict[str, Any]) -> Any:
        """None before the data are known, whose columns say it."""
        return None

    @property
    def capabilities(self) -> Capabilities:
        """Samples, and bounds of densities."""
        return Capabilities(sample=True, log_prob="bound", conditional=False, trajectory=True)

    def about_density(self, options: dict[str, Any]) -> str | None:
        """What the numbers are."""
        return "a lower bound of the log-density of rows, in the units of the data"

    def loss(
        self,
        x: Any,
        c: Any = None,
        *,
        generator: torch.Generator | None = None,
        rows: slice = slice(None),
    ) -> Tensor:
        """The losses of all columns that are not known, summed, `(B,)`; see `loss_meaning`."""
        z = self.inward(x)
        n, device, clock = state.rows(z), state.device(z), self.process.clock
        generator = generator_or_global(generator, device)
        t = self.times.sample(n, clock, generator=generator, device=device).to(self.dtype)
        known = self._drawn_known(z, generator)
        x_t = Held(self.process, z, known).sample(z, t, generator)
        z, x_t, known = (state.take(part, rows) for part in (z, x_t, known))
        pred = _Told(self.predictor, self.flags(known))(x_t, t[rows])
        return self.scores(pred, z, x_t, known, t[rows]).sum(1)

    def scores(self, pred: Any, z: Any, x_t: Any, known: Any, t: Tensor) -> Tensor:
        """The loss of the numbers and that of the symbols, `(B, parts)`.

        That of a number is `|E[z | x_t] - z|^2 / sigma_t^2`, the error of the direction
        `v = alpha eps - sigma z` (Salimans & Ho 2022), in which all times count about the same.
        """
        found = []
        for process, own, data, now, told in zip(
            self.factors, *map(parts_of_state, (pred, z, x_t, known)), strict=True
        ):
            if data.is_floating_point():
                _, sigma = process.clock.values(t)
                error = (own - data).square() * ~told
                found.append(error.sum(1) / sigma**2)
            else:
                found.append(process.loss(own, data, now, t))
        return torch.stack(found, 1)

    @property
    def factors(self) -> tuple[GenerativeProcess, ...]:
        """The process of each part of a state."""
        process = self.process
        return process.factors if isinstance(process, ProductProcess) else (process,)

    def flags(self, known: Any) -> Tensor | None:
        """Which numbers of a batch are known, for the network; `None` where states have none."""
        return next(
            (
                told
                for told, process in zip(parts_of_state(known), self.factors, strict=True)
                if follows(process, GaussianKernels)
            ),
            None,
        )

    def _drawn_known(self, z: Any, generator: torch.Generator) -> Any:
        """Entries to be known in training: in some rows none, in others each column by a chance
        that is itself uniform, so that few and many are equally likely."""
        n, device = state.rows(z), state.device(z)
        u = uniform((n, 2 + len(self.columns)), generator, device=device)
        chance = torch.where(u[:, 0] < self.infilling, u[:, 1], 0.0)
        return self.entries(u[:, 2:] < chance[:, None], z)

    def entries(self, columns: Tensor, like: Any) -> Any:
        """Booleans `(B, columns)` as booleans of the entries of states."""
        parts = []
        for k, part in enumerate(parts_of_state(like)):
            side = 0 if part.is_floating_point() else 1
            at = [j for j, own in enumerate(self.columns) if own[side] is not None]
            if part.shape[1] != len(at):
                raise InputError(f"part {k} of a row has {part.shape[1]} entries, not {len(at)}")
            parts.append(columns[:, at])
        return tuple(parts) if isinstance(like, tuple) else parts[0]

    @torch.no_grad()
    def sample(self, n: int, c: Any = None, **options: Any) -> Any:
        """Draw `n` rows: see `Diffusion.sample`. The sampler is `pinned` with 100 steps by default,
        whose steps show each symbol with its exact chance."""
        options["sampler"] = options.get("sampler") or "pinned"
        return super().sample(n, c, **options)

    @torch.no_grad()
    def infill(
        self,
        x: Any,
        known: Any,
        *,
        barred: Tensor | None = None,
        steps: int | None = None,
        sampler: str | Sampler | None = None,
        seed: int | None = None,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> Any:
        """Rows whose known entries are those of `x`, and whose others are drawn given these.

        Args:
            x: states in data units; what they are where nothing is known does not count.
            known: booleans of the same structure.
            barred: symbols that may not be drawn, `(sites, symbols)`, such as those of missing
                cells. Chances are shared out among the others symbol by symbol, which is exact
                where one of the sites is drawn.
            steps, sampler, seed, batch_size, progress: as for `sample`.

        Raises `InputError` for what are no states.
        """
        z = self.inward(x)
        n = state.rows(z)
        steps = checks.whole("steps", self.process.steps if steps is None else steps, 2)
        times = times_of(self.process, self.grid, steps - 1)
        rule = registry.resolve("samplers", sampler or "pinned")
        seed = fresh_seed(seed)
        known = state.to(known, self.device)

        def transport(part: slice) -> Transport:
            own = state.take(known, part)
            model = _Told(self.predictor, self.flags(own), barred)
            return Transport(model, Held(self.process, state.take(z, part), own))

        prior = self._prior(n, start_noise(seed, slice(0, n), self.device), times[0])
        with self.evaluating():
            found = simulate(
                rule, transport, Held(self.process, z, known).held(prior), times, seed=seed,
                batch_size=batch_size, finish=True, progress=progress,
            )  # fmt: skip
        return self.outward(finite(found))

    @torch.no_grad()
    def log_prob(  # type: ignore[override]
        self,
        x: Any,
        c: Any = None,
        *,
        steps: int = 64,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> LogProb:
        """A lower bound of the log-density of states, in nats, in their units: `row_bound`.

        Each row has `steps` random times; the standard error is that of their mean.
        """
        z = with_density(self.inward(x))
        with self.evaluating():
            return row_bound(
                self, z, steps=steps,
                generator=resolve(seed, generator, self.device, rows=state.rows(z)),
                batch_size=batch_size, progress=progress,
            )  # fmt: skip


@dataclass(frozen=True)
class _Told:
    """A predictor that tells its network which numbers are known, and bars symbols."""

    predictor: Predictor
    known: Tensor | None
    barred: Tensor | None = None

    def __call__(self, x_t: Any, t: Time, c: Any = None) -> Any:
        pred = self.predictor(x_t, t, c, self.known)
        return pred if self.barred is None else state.map_leaves(self._allowed, pred)

    def _allowed(self, part: Tensor) -> Tensor:
        if part.ndim < 3 or self.barred is None:
            return part
        return part.masked_fill(self.barred.to(part.device), torch.finfo(part.dtype).min / 8)


def parts_of_state(x: Any) -> tuple[Any, ...]:
    """The parts of a state of a table, also if there is one alone."""
    return x if isinstance(x, tuple) else (x,)
