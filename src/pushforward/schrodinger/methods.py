"""The methods: what is simulated in an outer iteration, and what is learned from it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from pushforward import checks
from pushforward._random import part_of
from pushforward.config import configurable
from pushforward.processes import ControlledReference, Reference
from pushforward.schrodinger.controlled import (
    Control,
    ControlledDiffusion,
    Step,
    time_left,
    zero_control,
)
from pushforward.schrodinger.projections import markovian_projection
from pushforward.schrodinger.proportional_fitting import drift_matching, mean_matching
from pushforward.schrodinger.simulation import (
    equal_times,
    simulate_ends,
    simulate_paths,
    steps_of,
)

__all__ = ["DSB", "DSBM", "Method", "SimulationTask"]

Couplings = tuple[Tensor, ...]
"""What is learned from: tensors `(rows, ...)`, the simulated ends first."""


class SimulationTask(NamedTuple):
    """What fills the cache of an outer iteration: paths against the direction that it learns.

    Args:
        process: the controlled reference, with the variances of ends that were measured last.
        control: of the direction learned before, against the one to learn; `None` in the first
            outer iteration.
        start: exact states that the paths start from, `(rows, *event)`: of the source to learn the
            way back, of the target to learn the way forward.
        other: as many states of the other distribution, independent of these.
        steps: of a simulated path.
        forward: the direction to learn.
    """

    process: ControlledDiffusion | ControlledReference
    control: Control | None
    start: Tensor
    other: Tensor
    steps: int
    forward: bool


class Method(ABC):
    """One way to iterate towards the Schrödinger bridge."""

    measures_end_variance: bool
    """Whether the least value of the loss at a time is the variance ratio of the end ahead."""

    simulates_to_start: bool
    """Whether the couplings of the first outer iteration are simulated step by step, too."""

    curved: bool = False
    """Whether it works where states have no means: on a manifold, on tokens."""

    @property
    @abstractmethod
    def starts_from_reference(self) -> bool:
        """Whether the first simulated paths are those of the reference."""

    def variance_ratios(
        self,
        control: Control,
        reference: Reference,
        couplings: Couplings,
        nodes: int,
        *,
        forward: bool,
        generator: torch.Generator,
    ) -> Tensor:
        """The variance of the end ahead given the state over that of the reference, at equal steps
        of the remaining time, `(nodes,)`; ones where it is not measured."""
        return torch.ones(nodes)

    @abstractmethod
    def states(self, steps: int) -> int:
        """How many states a coupling keeps, from paths of so many steps."""

    @abstractmethod
    def collect(self, simulation: SimulationTask, generator: torch.Generator | None) -> Couplings:
        """What is learned from, drawn anew."""

    @abstractmethod
    def loss(
        self,
        control: Control,
        process: ControlledDiffusion | ControlledReference,
        couplings: Couplings,
        *,
        forward: bool,
        steps: int,
        generator: torch.Generator | None,
        rows: slice = slice(None),
    ) -> Tensor:
        """The loss of the control to learn on rows of a cache, `(B,)`, or on a part of them."""


@configurable
@dataclass(frozen=True)
class DSBM(Method):
    """Diffusion Schrödinger bridge matching: reciprocal and Markovian projections in turns.

    Each outer iteration couples exact states of one distribution with the ends of simulated paths
    from them, joins the two by bridges of the reference, and learns the drift against the
    simulation (Shi et al. 2023, Algorithm 1).

    Args:
        initial_coupling: `independent` begins iterative Markovian fitting (DSBM-IMF), `reference`,
            source and source with noise, follows iterative proportional fitting (DSBM-IPF).

    Raises `InputError` for another initial coupling.
    """

    initial_coupling: Literal["independent", "reference"] = "independent"

    measures_end_variance = True
    simulates_to_start = False
    curved = True

    def __post_init__(self) -> None:
        checks.one_of("initial_coupling", self.initial_coupling, ("independent", "reference"))

    @property
    def starts_from_reference(self) -> bool:
        """Unless the initial coupling is independent."""
        return self.initial_coupling == "reference"

    def states(self, steps: int) -> int:
        """The two ends."""
        return 2

    def collect(self, simulation: SimulationTask, generator: torch.Generator | None) -> Couplings:
        """Simulated or independent ends, and the exact states that they are coupled with."""
        if simulation.control is None and not self.starts_from_reference:
            return simulation.other, simulation.start
        if simulation.control is None:
            ends = simulation.process.unsteered(simulation.start, generator)
        else:
            ends = simulate_ends(
                simulation.process, simulation.control, simulation.start, simulation.steps,
                forward=not simulation.forward, generator=generator,
            )  # fmt: skip
        return ends, simulation.start

    def loss(
        self,
        control: Control,
        process: ControlledDiffusion | ControlledReference,
        couplings: Couplings,
        *,
        forward: bool,
        steps: int,
        generator: torch.Generator | None,
        rows: slice = slice(None),
    ) -> Tensor:
        """The Markovian projection of the reciprocal one, at stratified times.

        The error of a drift weighs as the time that remains, so that at uniform times it would
        learn slowly what it is near the end ahead. Times are uniform in the square root of what
        remains.
        """
        exact = couplings[1]
        n = len(exact)
        dtype = exact.dtype if exact.is_floating_point() else None
        jitter = torch.rand(n, generator=generator, device=exact.device, dtype=dtype)
        # Inside (0, 1), where bridges have noise; rows are in random order already.
        place = (torch.arange(n, device=exact.device) + jitter) / n
        t = time_left(_EDGE + (1 - 2 * _EDGE) * place.square(), forward)
        assert isinstance(t, Tensor)
        target, source = _pair(couplings, forward)
        pair = target[rows], source[rows]
        t, _, generator = part_of(t, None, generator, rows)
        return markovian_projection(
            control, process.reference, pair, t, forward=forward, generator=generator
        )

    def variance_ratios(
        self,
        control: Control,
        reference: Reference,
        couplings: Couplings,
        nodes: int,
        *,
        forward: bool,
        generator: torch.Generator,
    ) -> Tensor:
        """The mean loss at each time: the variance of the end given the state, measured."""
        exact = couplings[1]
        found = []
        for k in range(nodes):
            remaining = min(max(k / (nodes - 1), _EDGE), 1 - _EDGE)
            t = time_left(exact.new_full((len(exact),), remaining), forward)
            assert isinstance(t, Tensor)
            loss = markovian_projection(
                control, reference, _pair(couplings, forward), t, forward=forward,
                generator=generator,
            )  # fmt: skip
            found.append(loss.mean())
        return torch.stack(found)


_EDGE = 1e-4


def _pair(couplings: Couplings, forward: bool) -> tuple[Tensor, Tensor]:
    """Target and source; what learns the way forward was simulated from exact targets."""
    simulated, exact = couplings
    return (exact, simulated) if forward else (simulated, exact)


@configurable
@dataclass(frozen=True)
class DSB(Method):
    """Diffusion Schrödinger bridges: iterative proportional fitting of chains, step by step.

    Each outer iteration simulates whole paths and learns to reverse their steps (De Bortoli et al.
    2021). It keeps the errors of all iterations before, since nothing ties it to the reference.

    Args:
        matching: `mean` or `drift`, what of a reversed step is fitted.

    Raises `InputError` for another.
    """

    matching: Literal["mean", "drift"] = "mean"

    measures_end_variance = False
    simulates_to_start = True

    def __post_init__(self) -> None:
        checks.one_of("matching", self.matching, tuple(_FITS))

    @property
    def starts_from_reference(self) -> bool:
        """Always: there is nothing else to reverse."""
        return True

    def states(self, steps: int) -> int:
        """An end, and a state and a mean for every step."""
        return 1 + 2 * steps

    def collect(self, simulation: SimulationTask, generator: torch.Generator | None) -> Couplings:
        """Ends, states after every step, and means of the reversed steps."""
        assert isinstance(simulation.process, ControlledDiffusion)
        paths = simulate_paths(
            simulation.process,
            simulation.control or zero_control,
            simulation.start,
            simulation.steps,
            forward=not simulation.forward,
            generator=generator,
        )
        return paths.states[:, -1], paths.states, paths.reversed_means

    def loss(
        self,
        control: Control,
        process: ControlledDiffusion | ControlledReference,
        couplings: Couplings,
        *,
        forward: bool,
        steps: int,
        generator: torch.Generator | None,
        rows: slice = slice(None),
    ) -> Tensor:
        """The error of one reversed step per path, all steps in equal parts."""
        assert isinstance(process, ControlledDiffusion)
        _, states, means = couplings
        n = len(states)
        turn = torch.randint(steps, (), generator=generator, device=states.device)
        which = (torch.arange(n, device=states.device) + turn) % steps
        here, which = torch.arange(n, device=states.device)[rows], which[rows]
        x, mean = states[here, which], means[here, which]
        # In the order in which the simulation met their starts.
        plan = steps_of(process, equal_times(steps, forward))[::-1]
        step = Step(*(x.new_tensor(column)[which] for column in zip(*plan, strict=True)))
        fit = _FITS[self.matching]
        return fit(process.reference, step, x, control(x, step.t), mean, forward=forward)


_FITS = {"mean": mean_matching, "drift": drift_matching}
