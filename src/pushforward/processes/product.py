"""Several processes on one clock: states, predictions and dynamics as tuples."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from pushforward import checks, spaces, state
from pushforward._precision import in_double
from pushforward._random import resolve
from pushforward.config import configurable
from pushforward.dynamics import Parallel
from pushforward.errors import CapabilityError, InputError
from pushforward.processes.process import GenerativeProcess, Support
from pushforward.processes.reading import Reading
from pushforward.protocols import Bridged, Evidenced, Time, follows
from pushforward.schedules import Schedule

__all__ = ["ProductProcess"]


@configurable
@dataclass(frozen=True)
class ProductProcess(GenerativeProcess[tuple[Any, ...], tuple[Any, ...], tuple[Any, ...]]):
    """Processes that run side by side, such as positions and angles; coupled by the model alone.

    Args:
        factors: the processes.
        weights: what the losses of the factors are multiplied by; one each by default.

    Raises `InputError` for fewer than two factors, or some that are pairs and some that are not,
    or weights that are not positive.

    >>> from pushforward.processes import Brownian, Gaussian
    >>> from pushforward.spaces import Torus
    >>> process = ProductProcess((Gaussian(), Brownian(Torus())))
    >>> x, angle = process.sample((torch.zeros(2, 3), torch.zeros(2, 1)), 0.5)
    >>> x.shape, angle.shape
    (torch.Size([2, 3]), torch.Size([2, 1]))
    """

    factors: tuple[GenerativeProcess, ...]
    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "factors", tuple(self.factors))
        if len(self.factors) < 2:
            raise InputError(f"a product has at least two factors, not {len(self.factors)}")
        if self.weights is not None:
            object.__setattr__(self, "weights", tuple(self.weights))
            if len(self.weights) != len(self.factors):
                raise InputError(
                    f"{len(self.factors)} factors have not {len(self.weights)} weights"
                )
            for weight in self.weights:
                checks.positive("weights", weight)
        if len({process.paired for process in self.factors}) > 1:
            raise InputError(
                "processes between pairs and processes from data to noise have no common endpoint: "
                "take factors of one kind"
            )

    @cached_property
    def space(self) -> spaces.Product:  # type: ignore[override]
        """The product of the factors' spaces."""
        return spaces.Product(*(process.space for process in self.factors))

    @property
    def paired(self) -> bool:  # type: ignore[override]
        """Whether the factors are processes between pairs."""
        return self.factors[0].paired

    @property
    def takes_source(self) -> bool:  # type: ignore[override]
        """Whether all factors may start from data."""
        return all(process.takes_source for process in self.factors)

    def for_flow_matching(self) -> ProductProcess:
        """Each factor with the prediction that flow matching learns."""
        found = tuple(process.for_flow_matching() for process in self.factors)
        return ProductProcess(found, self.weights)

    def in_units(self, length: Any) -> ProductProcess:
        """Each factor in its own unit: `length` is a tuple, or one number for all."""
        lengths = length if isinstance(length, tuple) else (length,) * len(self.factors)
        pairs = zip(self.factors, lengths, strict=True)
        found = tuple(process.in_units(own) for process, own in pairs)
        return ProductProcess(found, self.weights)

    @property
    def supports(self) -> frozenset[Support]:  # type: ignore[override]
        """A density, or a bound, where all factors have one."""
        both = frozenset.intersection(*(p.supports for p in self.factors))
        # The bound of blocks that are asked together has no rate to add to another.
        rated = all(follows(process, Evidenced) for process in self.factors)
        return both & ({"density", "bound"} if rated else {"density"})

    @cached_property
    def clock(self) -> Schedule:
        """That of the first factor, on the interval that all of them share."""
        clocks = [process.clock for process in self.factors]
        found = copy.copy(clocks[0])
        object.__setattr__(found, "t_min", max(clock.t_min for clock in clocks))
        object.__setattr__(found, "t_max", min(clock.t_max for clock in clocks))
        return found

    @property
    def interval(self) -> tuple[float, float]:
        """The times at which no factor is at its end."""
        starts, stops = zip(*(process.interval for process in self.factors), strict=True)
        return min(starts), max(stops)

    def reading(self, predict: Any = None) -> Reading:
        """A tuple of outputs, each read by its factor; `predict` is a tuple too, or left out."""
        chosen = (None,) * len(self.factors) if predict is None else predict
        if not isinstance(chosen, tuple | list) or len(chosen) != len(self.factors):
            raise InputError(f"predict has one entry for each of the factors, not {predict!r}")
        pairs = zip(self.factors, chosen, strict=True)
        return _Readings(tuple(process.reading(one) for process, one in pairs))

    def finish(
        self,
        pred: tuple[Any, ...],
        x_t: tuple[Any, ...],
        t: float,
        generator: torch.Generator | None = None,
    ) -> tuple[Any, ...]:
        """Each factor by itself."""
        return tuple(
            p.finish(own, x, t, generator)
            for p, own, x in zip(self.factors, pred, x_t, strict=True)
        )

    def bridge(
        self,
        pred: tuple[Any, ...],
        x_t: tuple[Any, ...],
        t: float,
        s: float,
        churn: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> tuple[Any, ...]:
        """A draw of each factor's pinned kernel. Raises `CapabilityError` if one has none."""
        for process in self.factors:
            if not follows(process, Bridged):
                raise CapabilityError(
                    f"{type(process).__name__} has no pinned kernel, so that their product has "
                    "none: use the euler sampler"
                )
        return tuple(
            p.bridge(own, x, t, s, churn, generator)  # type: ignore[attr-defined]
            for p, own, x in zip(self.factors, pred, x_t, strict=True)
        )

    def prior(self, shape: state.EventShape, t: float = 1.0) -> Any:
        """Independent priors, one shape per factor."""
        pairs = zip(self.factors, shape, strict=True)
        return _Independent(tuple(p.prior(part, t) for p, part in pairs))

    def sample(
        self, z: tuple[Any, ...], t: Time, generator: torch.Generator | None = None
    ) -> tuple[Any, ...]:
        """Each factor noised on its own."""
        return tuple(
            p.sample(part, t, generator)
            for p, part in zip(self.factors, self._endpoints(z), strict=True)
        )

    def loss(
        self, pred: tuple[Any, ...], z: tuple[Any, ...], x_t: tuple[Any, ...], t: Time
    ) -> Tensor:
        """The weighted sum of the factors' losses, `(B,)`."""
        ends = self._endpoints(z)
        losses = [
            weight * p.loss(own, end, x, t)
            for weight, p, own, end, x in zip(
                self.weights or (1.0,) * len(self.factors),
                self.factors,
                pred,
                ends,
                x_t,
                strict=True,
            )
        ]
        return torch.stack(losses).sum(0)

    def prior_cost(self, z: tuple[Any, ...], t: float) -> Tensor:
        """The sum of the factors' costs, `(B,)`, whatever the weights of their losses."""
        parts = zip(self._evidenced(), self._endpoints(z), strict=True)
        return torch.stack([in_double(p.prior_cost(own, t)) for p, own in parts]).sum(0)

    def cost_rate(
        self, pred: tuple[Any, ...], z: tuple[Any, ...], x_t: tuple[Any, ...], t: Time
    ) -> Tensor:
        """The sum of the factors' costs."""
        parts = zip(self._evidenced(), pred, self._endpoints(z), x_t, strict=True)
        costs = [in_double(p.cost_rate(q, own, x, t)) for p, q, own, x in parts]
        return torch.stack(costs).sum(0)

    def data_cost(
        self, pred: tuple[Any, ...], z: tuple[Any, ...], x_t: tuple[Any, ...], t: float
    ) -> Tensor:
        """The sum of the factors' costs."""
        parts = zip(self._evidenced(), pred, self._endpoints(z), x_t, strict=True)
        costs = [in_double(p.data_cost(q, own, x, t)) for p, q, own, x in parts]
        return torch.stack(costs).sum(0)

    def dynamics(self, pred: tuple[Any, ...], x_t: tuple[Any, ...], t: Time) -> Parallel:
        """The factors' dynamics side by side."""
        return Parallel(
            tuple(p.dynamics(own, x, t) for p, own, x in zip(self.factors, pred, x_t, strict=True))
        )

    def _evidenced(self) -> tuple[Any, ...]:
        """The factors. Raises `CapabilityError` where one has no bound of log-probabilities."""
        for process in self.factors:
            if not follows(process, Evidenced):
                raise CapabilityError(
                    f"{type(process).__name__}, a factor of the product, has no bound of "
                    "log-probabilities: Masking, Jumps and Gaussian have one"
                )
        return self.factors

    def tabulate(self, grid: Sequence[float]) -> None:
        """Tabulate every factor."""
        for process in self.factors:
            process.tabulate(grid)

    def _endpoints(self, z: Any) -> tuple[Any, ...]:
        """The endpoint variable of each factor: its part, or its pair of parts."""
        return tuple(zip(*z, strict=True)) if self.paired else z


@dataclass(frozen=True)
class _Readings(Reading[tuple[Any, ...], tuple[Any, ...]]):
    """The readings of the factors, each on its own part."""

    parts: tuple[Reading, ...]

    def at(self, t: Time) -> tuple[Time, tuple[Any, ...]]:
        """The time, which the network is told, and the rows of the parts."""
        return t, tuple(part.at(t) for part in self.parts)

    def time(self, row: tuple[Time, tuple[Any, ...]]) -> Time:
        """The time itself, one for all."""
        return row[0]

    def seen(self, row: tuple[Time, tuple[Any, ...]], x_t: tuple[Any, ...]) -> tuple[Any, ...]:
        """What each reading shows of its part."""
        return tuple(
            part.seen(own, x) for part, own, x in zip(self.parts, row[1], x_t, strict=True)
        )

    def output_shape(self, event_shape: state.EventShape) -> state.EventShape:
        """One shape a part."""
        pairs = zip(self.parts, event_shape, strict=True)
        return tuple(part.output_shape(shape) for part, shape in pairs)

    def read(self, row: Any, output: tuple[Any, ...], x_t: tuple[Any, ...]) -> tuple[Any, ...]:
        """The tuple of predictions."""
        return tuple(
            part.read(own, out, x)
            for part, own, out, x in zip(self.parts, row[1], output, x_t, strict=True)
        )


@dataclass(frozen=True)
class _Independent:
    """The product of the factors' priors."""

    factors: tuple[Any, ...]

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> tuple[Any, ...]:
        generator = resolve(seed, generator, rows=n)
        return tuple(distribution.sample(n, generator=generator) for distribution in self.factors)

    def log_prob(self, x: tuple[Any, ...]) -> Tensor:
        logs = [
            distribution.log_prob(part) for distribution, part in zip(self.factors, x, strict=True)
        ]
        return torch.stack(logs).sum(0)
