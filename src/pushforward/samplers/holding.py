"""Tokens that are known stay: infilling of masked sequences by any sampler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pushforward.config import configurable
from pushforward.errors import CapabilityError
from pushforward.processes import Masking
from pushforward.protocols import Sampler, State, Transport
from pushforward.samplers.ancestral import Ancestral
from pushforward.samplers.rule import Rule

__all__ = ["Holding"]


@configurable
@dataclass(frozen=True)
class Holding(Rule):
    """Another sampler, by which the tokens that are visible at the start stay as they are.

    Under masking a model predicts hidden tokens given the visible ones, so that a start with the
    known tokens shown and all others hidden draws the others given them: with the law that the
    sampler has anyhow, at any time and for any subset of sites. Samplers that never hide a token
    again hold them by themselves; to those that do, correctors among them, they are given back.

    Raises `CapabilityError` for other processes than `Masking`: where tokens jump, a visible one is
    no known one.

    >>> from pushforward import processes, samplers, spaces
    >>> process = processes.Masking(spaces.Tokens(2))
    >>> transport = Transport(lambda x, t, c=None: torch.zeros(*x.shape, 2), process)
    >>> x = samplers.run(Holding(), transport, torch.tensor([[1, 2, 2]]), [1.0, 0.0], seed=0)
    >>> x[0, 0].item(), x.max().item() < 2
    (1, True)
    """

    sampler: Sampler = field(default_factory=Ancestral)

    @property
    def evaluations(self) -> int:
        """Those of the sampler."""
        return self.sampler.evaluations

    def plan(self, process: Any, grid: Sequence[float]) -> Sequence[Any]:
        """The sampler's rows."""
        if not isinstance(process, Masking):
            raise CapabilityError(
                "infilling keeps tokens that masking would show, not those of a "
                f"{type(process).__name__}: train with process=masking"
            )
        return self.sampler.plan(process, grid)

    def init(self, x: Tensor) -> State:
        """The sampler's state, and the start."""
        first = self.sampler.init(x)
        return State(first.x, (first.memory, x))

    def step(
        self,
        transport: Transport,
        state: State,
        row: Any,
        generator: torch.Generator | None = None,
    ) -> State:
        """The sampler's step, with the known tokens back in their places."""
        memory, start = state.memory
        found = self.sampler.step(transport, State(state.x, memory), row, generator)
        known = start != transport.process.space.mask
        return State(torch.where(known, start, found.x), (found.memory, start))
