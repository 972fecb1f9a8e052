"""Training in half-iterations: each direction learns from paths that the other simulates."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from pushforward import metrics
from pushforward._random import derived_seed, even_rows, normal_like, resolve
from pushforward._shapes import not_finite, per_event_sum
from pushforward.errors import InputError
from pushforward.models import network
from pushforward.models.parameter_vector import flattened, frozen
from pushforward.models.two_ended import End, TwoEnded
from pushforward.processes import Bridge, OUBridge, Reference
from pushforward.protocols import Time, Transport
from pushforward.schrodinger import (
    Half,
    Halves,
    Heading,
    Headings,
    Iteration,
    Method,
    Refresh,
    Steered,
)
from pushforward.schrodinger.methods import Cache

__all__ = ["HalfIterated"]

_NODES = 33
"""Where the spread of the ends is measured: at equal steps of the remaining time."""

_JUDGED = 2000
"""Rows of each side that a marginal error is measured with."""

AT_ONCE = 2**19
"""Numbers that go through a simulating network at once, whose activations take more."""

_COUPLING, _SPREAD = range(2)


class HalfIterated(TwoEnded):
    """Two directions that learn in turns, with all that a resumed run needs in saved buffers.

    Args:
        networks: one for each direction, forward first, or one for both, told the direction.

    The weights that learn are averaged within a half-iteration. The average of a direction stays as
    it is while the other learns, also where both share a network that goes on changing; it
    simulates, and it is what maps states when training is over. Couplings are a function of the
    averages, the seed and the step.
    """

    noise_seed: Tensor
    begun: Tensor
    trained: Tensor
    spread: Tensor
    marginals: Tensor
    start_pairs: Tensor

    def __init__(
        self,
        networks: list[nn.Module],
        reference: Reference | None,
        method: Method,
        halves: Halves,
        refresh: Refresh,
        steps: int,
        ema: float,
        event_shape: int | tuple[int, ...] | None,
        source_rows: int,
        start_rows: int,
    ) -> None:
        super().__init__(event_shape, source_rows)
        self.reference, self.method = reference, method
        self.halves, self.refresh, self.steps, self.ema = halves, refresh, steps, ema
        self.nets = nn.ModuleList(networks)
        # Of either direction, forward first: averaged weights, whether there are any, whether a
        # half-iteration of it has ended, and the spread that was then measured.
        for k, forward in enumerate((True, False)):
            self.register_buffer(f"average_{k}", flattened(self._net(forward)))
        self.register_buffer("noise_seed", torch.zeros((), dtype=torch.int64))
        self.register_buffer("begun", torch.zeros(2, dtype=torch.bool))
        self.register_buffer("trained", torch.zeros(2, dtype=torch.bool))
        self.register_buffer("spread", torch.ones(2, _NODES))
        self.register_buffer("marginals", torch.full((halves.count, 2), -1.0))
        shape = self._given_shape if start_rows and self._given_shape else (0,)
        self.register_buffer("start_pairs", torch.zeros(2, start_rows, *shape))
        self._cache: Cache | None = None
        self._cached: tuple[int, int] | None = None
        self._half: Half | None = None
        self._learned_on: Steered | None = None

    # -- the two directions -----------------------------------------------------------------------

    @property
    def process(self) -> Steered:
        """The steered reference in the units of the model, with the spread that was measured."""
        return Steered(self._reference(), self.spread.tolist())

    def _reference(self) -> Reference:
        if self.reference is None:
            return Bridge(1.0)
        sigma = self.reference.sigma / self.scale
        rate = self.reference.rate
        return OUBridge(sigma, rate) if rate else Bridge(sigma)

    def frozen_parameters(self) -> list[nn.Parameter]:
        """The network of the direction that is not being learned."""
        if len(self.nets) == 1 or not self.training or self._half is None:
            return []
        return list(self._net(not self._half.forward).parameters())

    def _net(self, forward: bool) -> nn.Module:
        return self.nets[0 if forward else -1]

    def _average(self, forward: bool) -> Tensor:
        return self.get_buffer(f"average_{int(not forward)}")

    def _heading(self, forward: bool, *, learning: bool = False) -> Heading:
        """What a direction's network says, by its average, or by the weights that are learning."""
        net = self._net(forward)
        averaged = not learning and bool(self.begun[int(not forward)])
        if averaged:
            net = frozen(net, self._average(forward))

        def heading(x: Tensor, t: Time) -> Tensor:
            elapsed = torch.as_tensor(t if forward else 1 - t, dtype=x.dtype, device=x.device)
            if elapsed.ndim == 0 and not getattr(net, "shares_time", False):
                elapsed = elapsed.repeat(len(x))
            label = None
            if len(self.nets) == 1:
                label = torch.full((len(x),), int(not forward), device=x.device)
            return network.call(net, x, elapsed, label)

        return _in_parts(heading) if averaged else heading

    def _transport(self, context: Tensor | None, towards: End) -> Transport:
        return Transport(Headings(self._heading(True), self._heading(False)), self.process)

    def _context(self, c: Any, n: int) -> None:
        if c is not None:
            raise InputError("a Schrödinger bridge takes no labels: train one for each class")

    # -- learning ---------------------------------------------------------------------------------

    def loss(
        self,
        x: Tensor,
        c: Any = None,
        *,
        source: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The loss of the direction that is being learned, `(B,)`.

        In training, on rows of the cached couplings, which stand in for the batch; otherwise on
        paths simulated from the batch, the sum of both directions.
        """
        generator = resolve(None, generator, self.device)
        if self.training and self._cache and self._half and self._learned_on:
            n = len(self._cache[0])
            rows = torch.randint(n, (len(x),), generator=generator, device=self.device)
            forward = self._half.forward
            cache = tuple(part.index_select(0, rows) for part in self._cache)
            return self.method.loss(
                self._heading(forward, learning=True), self._learned_on, cache,
                forward=forward, steps=self.steps, generator=generator,
            )  # fmt: skip
        target = self.inward(x)
        start = normal_like(target, generator) if source is None else self.inward(source)
        total = torch.zeros_like(per_event_sum(target))
        for forward in (False, True):
            near, far = (target, start) if forward else (start, target)
            with torch.no_grad():
                iteration = self._iteration(near, far, forward)
                cache = self.method.collect(iteration, generator)
            # Gradients are asked of the weights that learn, and averages have none.
            heading = self._heading(forward, learning=torch.is_grad_enabled())
            total = total + self.method.loss(
                heading, self.process, cache,
                forward=forward, steps=self.steps, generator=generator,
            )  # fmt: skip
        return total

    def prepare(self, x: Tensor, c: Tensor | None = None, *, generator: torch.Generator) -> None:
        """Draw the seed of all simulations from torch's global generator; forget other trainings.

        Raises `InputError` for data that are not finite.
        """
        bad = not_finite(x)
        if bad:
            raise InputError(f"{bad} of {len(x)} rows of the target are not finite")
        self.noise_seed.fill_(int(torch.randint(1 << 62, ())))
        self.marginals.fill_(-1)
        self._cache = self._cached = self._half = self._learned_on = None

    @torch.no_grad()
    def on_step(self, step: int, source: Tensor | None, target: Tensor) -> None:
        """Average weights, turn to the other direction, draw couplings: what is due at a step."""
        half = self.halves.at(step)
        if step > 0:
            before = self.halves.at(step - 1)
            taken = step - before.start
            decay = min(self.ema, taken / (9 + taken))
            now = flattened(self._net(before.forward))
            self._average(before.forward).lerp_(now, 1 - decay)
            if half.number > before.number:
                self._collect(before, step - 1, source, target)
                self._turn(before)
        self._half = half
        if step == half.start:
            self._average(half.forward).copy_(flattened(self._net(half.forward)))
            self.begun[int(not half.forward)] = True
        self._collect(half, step, source, target)

    def _collect(self, half: Half, step: int, source: Tensor | None, target: Tensor) -> None:
        """The couplings of a step, if they are not at hand: a function of saved state and step."""
        last = self.refresh.last(step - half.start)
        if self._cached == (half.number, last):
            return
        seed = derived_seed(int(self.noise_seed), _COUPLING, half.number, last)
        order = torch.Generator().manual_seed(seed)
        generator = torch.Generator(self.device).manual_seed(derived_seed(seed, 0))
        first = self._rows(source, order, generator)
        second = self._rows(target, order, generator)
        near, far = (second, first) if half.forward else (first, second)
        iteration = self._iteration(near, far, half.forward)
        self._learned_on = iteration.process
        if iteration.heading is None and len(self.start_pairs[0]):
            self._cache = self._given_pairs(len(near), half.forward, order)
        else:
            with self.evaluating():
                self._cache = self.method.collect(iteration, generator)
        self._cached = half.number, last
        if last == 0 and iteration.heading is not None:
            # The first pass over the data: later ones are the same rows again, at no distance.
            law = target if half.forward else source
            m = min(_JUDGED, len(far) // 2, len(far if law is None else law) // 2)
            if m >= 4:
                found = [
                    metrics.sliced_wasserstein(y, far[:m])
                    for y in (self._cache[0][:m], far[m : 2 * m])
                ]
                self.marginals[half.number] = torch.tensor([e.value for e in found])

    def _given_pairs(self, size: int, forward: bool, order: torch.Generator) -> Cache:
        """The couplings of a warm start, every one as often as any other."""
        rows = even_rows(size, len(self.start_pairs[0]), order).to(self.device)
        first, last = (self.inward(side[rows]) for side in self.start_pairs)
        return (first, last) if forward else (last, first)

    def _rows(self, data: Tensor | None, order: torch.Generator, noise: torch.Generator) -> Tensor:
        """Rows of one side for a cache, every one as often as any other, in the model's units."""
        units = self.known_units()
        numbers = math.prod(units.event_shape) * self.method.states(self.steps)
        size = self.refresh.size(numbers)
        if data is None:
            return normal_like(units.shift.new_empty(size, *units.event_shape), noise)
        # A small set starts several paths from each row; no path from some would bend the law.
        rows = even_rows(size, len(data), order)
        return self.inward(data[rows.to(data.device)].to(self.device))

    def _iteration(self, near: Tensor, far: Tensor, forward: bool) -> Iteration:
        """What simulates from `near` to learn the way there."""
        known = bool(self.trained[int(forward)])
        heading = self._heading(not forward) if known else None
        return Iteration(self.process, heading, near, far, self.steps, forward)

    def _turn(self, half: Half) -> None:
        """End a half-iteration: its average simulates from now on, and its spread is measured."""
        forward = half.forward
        self.trained[int(not forward)] = True
        if self.method.measures_spread and self._cache is not None:
            seed = derived_seed(int(self.noise_seed), _SPREAD, half.number)
            generator = torch.Generator(self.device).manual_seed(seed)
            rows = tuple(part[:_JUDGED] for part in self._cache)
            with self.evaluating():
                self.spread[int(not forward)] = self.method.spread(
                    self._heading(forward), self._reference(), rows, _NODES,
                    forward=forward, generator=generator,
                )  # fmt: skip


def _in_parts(heading: Heading) -> Heading:
    """The same heading, for as many states at a time as memory holds."""

    def parts(x: Tensor, t: Time) -> Tensor:
        size = max(1, AT_ONCE // max(1, x[0].numel()))
        if len(x) <= size:
            return heading(x, t)
        times = t.split(size) if isinstance(t, Tensor) and t.ndim else [t] * -(-len(x) // size)
        return torch.cat([heading(a, b) for a, b in zip(x.split(size), times, strict=True)])

    return parts
