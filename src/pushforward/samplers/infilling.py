"""Some symbols are given, the others are drawn: infilling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pushforward.errors import CapabilityError, InputError
from pushforward.processes import Jumps, Masking
from pushforward.protocols import Sampler, State, Transport
from pushforward.samplers.ancestral import Ancestral
from pushforward.samplers.holding import Holding
from pushforward.samplers.rule import Rule

__all__ = ["Infilling"]


@dataclass(frozen=True)
class Infilling(Rule):
    """Steps of tokens of which some are given, and the others drawn given these.

    Exactness under `Masking`: that of the steps. A hidden symbol is drawn given all that is
    visible, and which symbols became visible first does not matter to an exact model: so the given
    ones are as good as drawn already. Start where as much is hidden as in the state (`start`), as a
    network learns from states that have as many hidden symbols as the time says.

    Exactness under `Jumps`: given symbols move as they do given what they end with (`Jumps.told`),
    and the others are drawn as if these told no more than they show at the time, which is a
    heuristic. Moves of a `GibbsCorrector` mend it: near the data given symbols are what they are,
    and the others are drawn anew given all, so that with many moves the law is that of the model.

    Args:
        known: the symbols of a state, `(*sites)`; those that are not given are not read.
        given: which are given, booleans `(*sites)`.
        rule: whose steps are made.
        excluded: what a site cannot be, booleans `(*sites, symbols)`: the end of a text before a
            symbol that is given, for example. Take steps to the very end, `stop=0`, as a last step
            that shows all at once knows nothing of it.

    Raises `InputError` for other shapes, `CapabilityError` for another process.

    >>> from pushforward import Transport, processes, samplers, spaces
    >>> process = processes.Masking(spaces.Tokens(3))
    >>> transport = Transport(lambda x, t, c=None: torch.zeros(*x.shape, 3), process)
    >>> sampler = Infilling(torch.tensor([2, 0, 1]), torch.tensor([True, False, True]))
    >>> x = samplers.run(sampler, transport, torch.full((4, 3), 3), [1.0, 0.5, 0.0], seed=0)
    >>> x[:, 0].tolist(), x[:, 2].tolist()
    ([2, 2, 2, 2], [1, 1, 1, 1])
    """

    known: Tensor
    given: Tensor
    rule: Sampler = field(default_factory=Ancestral)
    excluded: Tensor | None = None

    def __post_init__(self) -> None:
        if self.given.dtype != torch.bool or self.given.shape != self.known.shape:
            raise InputError(
                "which symbols are given are booleans of the shape of a state, not "
                f"{self.given.dtype} {tuple(self.given.shape)} for {tuple(self.known.shape)}"
            )

    @property
    def evaluations(self) -> int:
        """Those of the rule."""
        return self.rule.evaluations

    def start(self, process: Any) -> float:
        """The time at which as large a share of the symbols is hidden as in the state.

        By bisection on the clock, within its interval; under `Jumps` the beginning, as visible
        symbols tell nothing of the time.
        """
        if isinstance(process, Jumps):
            return float(process.interval[0])
        hidden = 1 - float(self.given.double().mean())
        last, first = process.interval[1], process.interval[0]
        for _ in range(40):
            middle = (last + first) / 2
            if 1 - float(process.clock.values(middle)[0]) < hidden:
                last = middle
            else:
                first = middle
        return first

    def plan(self, process: Any, grid: Sequence[float]) -> Sequence[Any]:
        """That of the rule."""
        if not isinstance(process, Masking | Jumps):
            raise CapabilityError(
                f"infilling takes Masking or Jumps, not {type(process).__name__}: train with "
                "process=masking"
            )
        return self.rule.plan(process, grid)

    def init(self, x: Any) -> State:
        """The state with what is given."""
        if tuple(x.shape[1:]) != tuple(self.known.shape):
            raise InputError(
                f"states have {tuple(x.shape[1:])} symbols, and {tuple(self.known.shape)} are known"
            )
        return self._holding.init(torch.where(self.given.to(x.device), self.known.to(x.device), x))

    def step(
        self,
        transport: Transport,
        state: State,
        row: Any,
        generator: torch.Generator | None = None,
    ) -> State:
        """A step of the rule with the given symbols."""
        (model, process), x = transport, state.x
        excluded = None if self.excluded is None else self.excluded.to(x.device)
        known = torch.where(self.given, self.known, -1).to(x.device)

        def told(x_t: Tensor, t: Any, c: Any = None) -> Tensor:
            pred: Tensor = model(x_t, t, c)
            pred = pred if excluded is None else pred.masked_fill(excluded, -torch.inf)
            return pred if masked else process.told(pred, known)

        masked = isinstance(process, Masking)
        if masked:
            return self._holding.step(Transport(told, process), state, row, generator)
        memory, start = state.memory
        found = self.rule.step(Transport(told, process), State(x, memory), row, generator)
        return State(found.x, (found.memory, start))

    @property
    def _holding(self) -> Holding:
        """What keeps the symbols that are visible at the start."""
        return Holding(self.rule)
