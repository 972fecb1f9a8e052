"""The iterations: what is simulated in a half-iteration, and what is learned from it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.processes import Reference
from pushforward.schrodinger.projections import markovian_projection
from pushforward.schrodinger.proportional_fitting import drift_matching, mean_matching
from pushforward.schrodinger.steering import Heading, Steered, reference_heading
from pushforward.schrodinger.stepping import Step, follow, simulate, steps_of

__all__ = ["DSB", "DSBM", "Iteration", "Method"]

Cache = tuple[Tensor, ...]


class Iteration(NamedTuple):
    """What a half-iteration starts from.

    Args:
        process: the reference, with the spread of ends that was measured last.
        heading: the direction learned before, which runs against the one to learn; `None` in the
            first half-iteration.
        start: states that the simulation starts from, `(rows, *event)`: of the source to learn the
            way back, of the target to learn the way forward.
        other: as many states of the other law, independent of these.
        steps: of a simulated path.
        forward: the direction to learn.
    """

    process: Steered
    heading: Heading | None
    start: Tensor
    other: Tensor
    steps: int
    forward: bool


class Method(ABC):
    """One way to iterate towards the Schrödinger bridge."""

    measures_spread: bool
    """Whether the least value of the loss at a time is the spread of the end ahead."""

    @property
    @abstractmethod
    def starts_from_reference(self) -> bool:
        """Whether the first simulated paths are those of the reference."""

    def spread(
        self,
        heading: Heading,
        reference: Reference,
        rows: Cache,
        nodes: int,
        *,
        forward: bool,
        generator: torch.Generator,
    ) -> Tensor:
        """The spread of the end ahead at equal steps of the remaining time, `(nodes,)`; ones."""
        return torch.ones(nodes)

    @abstractmethod
    def states(self, steps: int) -> int:
        """How many states a coupling keeps, from paths of so many steps."""

    @abstractmethod
    def collect(self, iteration: Iteration, generator: torch.Generator) -> Cache:
        """What is learned from, drawn anew: tensors `(rows, ...)`, the simulated ends first."""

    @abstractmethod
    def loss(
        self,
        heading: Heading,
        process: Steered,
        rows: Cache,
        *,
        forward: bool,
        steps: int,
        generator: torch.Generator,
    ) -> Tensor:
        """The loss of the heading to learn on rows of a cache, `(B,)`."""


@configurable
@dataclass(frozen=True)
class DSBM(Method):
    """Diffusion Schrödinger bridge matching: reciprocal and Markovian projections in turns.

    Each half-iteration couples exact states of one law with the ends of simulated paths from them,
    joins the two by bridges of the reference, and learns the drift against the simulation (Shi et
    al. 2023, Algorithm 1).

    Args:
        start: the first coupling: `independent` begins iterated Markovian fitting (IMF),
            `reference`, source and source with noise, follows proportional fitting (IPF).

    Raises `InputError` for another start.
    """

    start: Literal["independent", "reference"] = "independent"

    measures_spread = True

    def __post_init__(self) -> None:
        if self.start not in ("independent", "reference"):
            raise InputError(f"the first coupling is independent or reference, not {self.start!r}")

    @property
    def starts_from_reference(self) -> bool:
        """Unless the first coupling is independent."""
        return self.start == "reference"

    def states(self, steps: int) -> int:
        """The two ends."""
        return 2

    def collect(self, iteration: Iteration, generator: torch.Generator) -> Cache:
        """Simulated or independent ends, and the states that they are coupled with."""
        if iteration.heading is None and not self.starts_from_reference:
            return iteration.other, iteration.start
        ends = simulate(
            iteration.process,
            iteration.heading or reference_heading,
            iteration.start,
            iteration.steps,
            forward=not iteration.forward,
            generator=generator,
        )
        return ends, iteration.start

    def loss(
        self,
        heading: Heading,
        process: Steered,
        rows: Cache,
        *,
        forward: bool,
        steps: int,
        generator: torch.Generator,
    ) -> Tensor:
        """The Markovian projection of the reciprocal one, at stratified times."""
        simulated, exact = rows
        pair = (simulated, exact) if forward else (exact, simulated)
        n = len(exact)
        jitter = torch.rand(n, generator=generator, device=exact.device, dtype=exact.dtype)
        # Inside (0, 1), where bridges have noise; rows are in random order already.
        place = (torch.arange(n, device=exact.device) + jitter) / n
        t = _EDGE + (1 - 2 * _EDGE) * place
        return markovian_projection(
            heading, process.reference, pair, t, forward=forward, generator=generator
        )

    def spread(
        self,
        heading: Heading,
        reference: Reference,
        rows: Cache,
        nodes: int,
        *,
        forward: bool,
        generator: torch.Generator,
    ) -> Tensor:
        """The mean loss at each time: the variance of the end given the state, measured."""
        simulated, exact = rows
        pair = (simulated, exact) if forward else (exact, simulated)
        found = []
        for k in range(nodes):
            remaining = min(max(k / (nodes - 1), _EDGE), 1 - _EDGE)
            t = exact.new_full((len(exact),), 1 - remaining if forward else remaining)
            loss = markovian_projection(
                heading, reference, pair, t, forward=forward, generator=generator
            )
            found.append(loss.mean())
        return torch.stack(found)


_EDGE = 1e-4


@configurable
@dataclass(frozen=True)
class DSB(Method):
    """Diffusion Schrödinger bridges: proportional fitting of chains, step by step.

    Each half-iteration simulates whole paths and learns to reverse their steps (De Bortoli et al.
    2021). It keeps the errors of all iterations before, since nothing ties it to the reference.

    Args:
        matching: `mean` or `drift`, what of a reversed step is fitted.

    Raises `InputError` for another.
    """

    matching: Literal["mean", "drift"] = "mean"

    measures_spread = False

    def __post_init__(self) -> None:
        if self.matching not in _FITS:
            raise InputError(f"a step is matched by its mean or its drift, not {self.matching!r}")

    @property
    def starts_from_reference(self) -> bool:
        """Always: there is nothing else to reverse."""
        return True

    def states(self, steps: int) -> int:
        """An end, and a state and a mean for every step."""
        return 1 + 2 * steps

    def collect(self, iteration: Iteration, generator: torch.Generator) -> Cache:
        """Ends, states after every step, and means of the reversed steps."""
        path = follow(
            iteration.process,
            iteration.heading or reference_heading,
            iteration.start,
            iteration.steps,
            forward=not iteration.forward,
            generator=generator,
        )
        return path.states[:, -1], path.states, path.means

    def loss(
        self,
        heading: Heading,
        process: Steered,
        rows: Cache,
        *,
        forward: bool,
        steps: int,
        generator: torch.Generator,
    ) -> Tensor:
        """The error of one reversed step per path, all steps in equal parts."""
        _, states, means = rows
        n = len(states)
        turn = torch.randint(steps, (), generator=generator, device=states.device)
        which = (torch.arange(n, device=states.device) + turn) % steps
        here = torch.arange(n, device=states.device)
        x, mean = states[here, which], means[here, which]
        times = [k / steps for k in range(steps + 1)]
        # In the order in which the simulation met their starts.
        plan = steps_of(process, times if forward else times[::-1])[::-1]
        step = Step(*(x.new_tensor(column)[which] for column in zip(*plan, strict=True)))
        fit = _FITS[self.matching]
        return fit(process.reference, step, x, heading(x, step.t), mean, forward=forward)


_FITS = {"mean": mean_matching, "drift": drift_matching}
