"""The outer iterations of a bridge in training: each direction learns from the other's paths."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pushforward._random import derived_seed
from pushforward.models.bridge_data import BothEnds, BridgeData
from pushforward.models.bridge_reference import BridgeReference
from pushforward.models.directions import Directions
from pushforward.models.marginal_errors import MarginalErrors
from pushforward.processes import ControlledReference, Reference
from pushforward.protocols import Time
from pushforward.schrodinger import (
    ControlledDiffusion,
    CouplingCache,
    HalfBridge,
    Method,
    OuterIterations,
    SimulationTask,
    controlled,
)
from pushforward.schrodinger.methods import Couplings

__all__ = ["OuterLoop"]

_NODES = 33
"""Where the variance of the ends is measured: at equal steps of the remaining time."""

_MEASURED = 2000
"""Couplings that the variance of the ends is measured with."""

_FRESH = 20
"""Steps for which couplings are kept that no network simulates: drawing them costs next to nothing,
and a network that sees the same ones again and again learns their chance pairs."""

_COUPLINGS, _VARIANCES = range(2)

Tell = Callable[[str], None]
"""Is told what is being done, again and again while it lasts."""


def _silent(what: str) -> None:
    """Nobody listens."""


class _Simulated(NamedTuple):
    """The couplings that are learned from, in which contexts and with what they were simulated, and
    for which step."""

    couplings: Couplings
    context: Tensor | None
    process: ControlledDiffusion | ControlledReference
    iteration: int
    step: int


class OuterLoop(nn.Module):
    """Two directions that learn in turns, with all that a resumed run needs in saved buffers.

    Couplings are a function of the averaged weights, the seed and the step.

    Args:
        directions: the networks.
        method: what is simulated and learned.
        iterations: which direction learns when.
        cache: when couplings are simulated anew, and how many.
        steps: of a simulated path.
    """

    noise_seed: Tensor
    trained: Tensor
    variance_ratios: Tensor

    def __init__(
        self,
        directions: Directions,
        method: Method,
        iterations: OuterIterations,
        cache: CouplingCache,
        steps: int,
    ) -> None:
        super().__init__()
        self.directions = directions
        self.method, self.iterations, self.cache, self.steps = method, iterations, cache, steps
        self.marginals = MarginalErrors(iterations)
        self.register_buffer("noise_seed", torch.zeros((), dtype=torch.int64))
        # Of either direction, forward first: whether an outer iteration of it has ended, and the
        # variance of its end that was then measured.
        self.register_buffer("trained", torch.zeros(2, dtype=torch.bool))
        self.register_buffer("variance_ratios", torch.ones(2, _NODES))
        self.learning: HalfBridge | None = None
        self.simulated: _Simulated | None = None

    def restart(self, seed: int) -> None:
        """Begin a training whose simulations follow from a seed; forget other ones."""
        self.noise_seed.fill_(seed)
        self.marginals.forget()
        self.learning = self.simulated = None

    @torch.no_grad()
    def go_on_from(self, other: OuterLoop) -> None:
        """Take both directions of another loop as learned; the first couplings are simulated.

        Raises `InputError` for networks that differ.
        """
        self.directions.copy(other.directions, self.iterations.forward(0))
        self.trained.fill_(True)
        if self.method.measures_end_variance:
            self.variance_ratios.copy_(other.variance_ratios)

    def process(self, reference: BridgeReference) -> ControlledDiffusion | ControlledReference:
        """The controlled reference, with the variances of ends that were measured."""
        return controlled(reference, self.variance_ratios.tolist())

    def on_step(self, step: int, data: BridgeData, tell: Tell = _silent) -> None:
        """Average weights, turn to the other direction, draw couplings: what is due at a step.

        While paths are simulated, `tell` is called with how far that is. Where it raises, all is as
        it was before the step.
        """
        now = self.iterations.at(step)
        if step > 0 and now.number > self.iterations.at(step - 1).number:
            at_hand = False
        else:
            at_hand = self._at_hand(now, step)
        with contextlib.nullcontext() if at_hand else self._unchanged_if_it_fails():
            self._advance(now, step, data, tell)

    def _advance(self, now: HalfBridge, step: int, data: BridgeData, tell: Tell) -> None:
        if step > 0:
            before = self.iterations.at(step - 1)
            self.directions.update_average(before.forward, step - before.start)
            if now.number > before.number:
                self._simulate(before, step - 1, data, tell)
                self._finish(before, data.reference, tell)
        self.learning = now
        if step == now.start:
            self.directions.start_average(now.forward)
        self._simulate(now, step, data, tell)

    @contextlib.contextmanager
    def _unchanged_if_it_fails(self) -> Iterator[None]:
        """Put all that a step changes back as it was, where something raises in between."""
        before = self.learning, self.simulated
        kept = [buffer.clone() for buffer in self.buffers()]
        try:
            yield
        except BaseException:
            self.learning, self.simulated = before
            for buffer, value in zip(self.buffers(), kept, strict=True):
                buffer.copy_(value)
            raise

    def loss(self, n: int, generator: torch.Generator, part: slice = slice(None)) -> Tensor:
        """The loss of the direction that learns, on `n` rows of the cached couplings, `(n,)`.

        Or on a part of those rows.
        """
        assert self.learning is not None
        assert self.simulated is not None
        couplings, context, process = self.simulated[:3]
        device = couplings[0].device
        rows = torch.randint(len(couplings[0]), (n,), generator=generator, device=device)
        drawn = tuple(one.index_select(0, rows) for one in couplings)
        own = None if context is None else context.index_select(0, rows[part])
        return self.method.loss(
            self.directions.control(self.learning.forward, own, learning=True), process, drawn,
            forward=self.learning.forward, steps=self.steps, generator=generator, rows=part,
        )  # fmt: skip

    def loss_of_both(
        self, reference: BridgeReference, ends: BothEnds, generator: torch.Generator
    ) -> Tensor:
        """The losses of both directions on paths that are simulated from some ends, `(n,)`."""
        # Gradients are asked of the weights that learn, and averages have none.
        learning = torch.is_grad_enabled()
        total = torch.zeros(())
        for forward in (False, True):
            with torch.no_grad():
                simulation = self._simulation(reference, ends, forward)
                couplings = self.method.collect(simulation, generator)
            control = self.directions.control(forward, ends.context, learning=learning)
            total = total + self.method.loss(
                control, simulation.process, couplings, forward=forward, steps=self.steps,
                generator=generator,
            )  # fmt: skip
        return total

    def warnings(self) -> list[str]:
        """What the simulated ends say about the last outer iterations."""
        advice = "Train longer outer iterations with larger batches, or take more steps per path."
        if self.method.starts_from_reference:
            advice += (
                f" {self.method} begins with paths of the reference: the less of the target these "
                "reach, the longer it takes, so raise its sigma, or begin as dsbm-imf does."
            )
        found = self.marginals.warnings(advice)
        if not bool(self.trained.any()):
            found.append(
                "Only one direction has learned: training ended within the first outer iteration. "
                f"All of them take {self.iterations.total_steps} steps."
            )
        return found

    def _simulation(
        self, reference: BridgeReference, ends: BothEnds, forward: bool, tell: Tell = _silent
    ) -> SimulationTask:
        """What is simulated to learn a direction: paths the other way, from where it leads."""
        control = None
        if bool(self.trained[int(forward)]):

            def watch(t: Time) -> None:
                done = float(t) if forward else 1 - float(t)
                tell(f"simulating {len(ends.source):,} couplings, {done:.0%}")

            control = self.directions.control(not forward, ends.context, watch=watch)
        near, far = (ends.target, ends.source) if forward else (ends.source, ends.target)
        return SimulationTask(self.process(reference), control, near, far, self.steps, forward)

    def _at_hand(self, at: HalfBridge, step: int) -> bool:
        """Whether the couplings of a step are there."""
        known = self.simulated
        return known is not None and known[3:] == (at.number, self._last_draw(at, step))

    def _simulate(self, at: HalfBridge, step: int, data: BridgeData, tell: Tell) -> None:
        """The couplings of a step, if they are not at hand: a function of saved state and step."""
        if self._at_hand(at, step):
            return
        last = self._last_draw(at, step)
        seed = derived_seed(int(self.noise_seed), _COUPLINGS, at.number, last)
        order = torch.Generator().manual_seed(seed)
        size = self.cache.size(data.numel * self.method.states(self.steps))
        ends = data.draw(size, order)
        simulation = self._simulation(data.reference, ends, at.forward, tell)
        couplings: Couplings
        if simulation.control is None and data.initial is not None:
            b, a = data.initial(size, order)
            couplings = (a, b) if at.forward else (b, a)
        else:
            generator = torch.Generator(simulation.start.device).manual_seed(derived_seed(seed, 0))
            couplings = self.method.collect(simulation, generator)
        self.simulated = _Simulated(couplings, ends.context, simulation.process, at.number, last)
        if last == 0 and simulation.control is not None:
            rows = data.source_rows if at.forward else data.target_rows
            seen = data.reference.space.features
            self.marginals.measure(
                at, seen(couplings[0]), seen(simulation.other), ends.context, rows
            )

    def _last_draw(self, at: HalfBridge, step: int) -> int:
        """The step of the last couplings, counted from the start of the outer iteration."""
        since = step - at.start
        if self.method.simulates_to_start or bool(self.trained[int(at.forward)]):
            return self.cache.last_refresh(since)
        return since - since % min(_FRESH, self.cache.refresh_every or _FRESH)

    def _finish(self, at: HalfBridge, reference: BridgeReference, tell: Tell) -> None:
        """End an outer iteration: its average simulates from now on, and what its control leaves
        open of the end is measured."""
        direction = int(not at.forward)
        self.trained[direction] = True
        if not self.method.measures_end_variance or self.simulated is None:
            return
        if not isinstance(reference, Reference):
            return
        couplings = tuple(part[:_MEASURED] for part in self.simulated.couplings)
        context = self.simulated.context
        context = None if context is None else context[:_MEASURED]
        seed = derived_seed(int(self.noise_seed), _VARIANCES, at.number)
        generator = torch.Generator(couplings[0].device).manual_seed(seed)
        self.variance_ratios[direction] = self.method.variance_ratios(
            self.directions.control(
                at.forward, context, watch=lambda t: tell("measuring what is left open of the end")
            ),
            reference, couplings, _NODES,
            forward=at.forward, generator=generator,
        )  # fmt: skip
