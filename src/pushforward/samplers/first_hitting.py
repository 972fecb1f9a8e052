"""Masked tokens shown one by one, at the times at which they are: exact, an evaluation a token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward._precision import widest
from pushforward._random import drawn_from_logits, fine_uniform, fork
from pushforward._roots import increasing_root
from pushforward.config import configurable
from pushforward.errors import CapabilityError, InputError
from pushforward.processes import Masking
from pushforward.protocols import State, Transport
from pushforward.samplers.rule import Rule

__all__ = ["FirstHitting"]


@configurable
@dataclass(frozen=True)
class FirstHitting(Rule):
    """The reversal of masking, simulated exactly (Zheng et al. 2025).

    When a token is shown does not depend on what it is: of `n` hidden ones the next is shown where
    `1 - alpha` has fallen by the factor `u^{1/n}`, `u` uniform, and each of them is the one alike.
    So a sequence takes one evaluation for each of its hidden tokens, and its law is exactly that of
    the model's reversal, in random order, however many steps another sampler would take.

    Of a grid only the ends count. Tokens that are due later than its last time stay hidden, for the
    last step of a model to show.

    Raises `CapabilityError` for other processes than `Masking`, `InputError` towards the noise.
    """

    @property
    def evaluations(self) -> int:
        """As many as there are hidden tokens."""
        return 0

    def plan(self, process: Any, grid: Sequence[float]) -> list[tuple[float, float]]:
        """The first and the last time, and nothing to do in the steps after the first."""
        if not isinstance(process, Masking):
            raise CapabilityError(
                f"first hitting takes Masking, not {type(process).__name__}: times of jumps depend "
                "on the tokens there; take uniformization"
            )
        if grid[-1] > grid[0]:
            raise InputError(f"first hitting runs towards the data, not from {grid[0]}")
        return [(grid[0], grid[-1])] + [(grid[-1], grid[-1])] * (len(grid) - 2)

    def step(
        self,
        transport: Transport,
        state: State,
        row: tuple[float, float],
        generator: torch.Generator | None = None,
    ) -> State:
        """All tokens that are due between the times."""
        (model, process), x, (start, stop) = transport, state.x, row
        if start == stop:
            return state
        shape, flat = x.shape, x.flatten(1)
        mask = process.space.mask
        # Rows take as many evaluations as they need.
        generator = fork(generator)
        left = torch.full((len(x),), 1 - float(process.schedule.at(start).alpha)).double()
        last = 1 - float(process.schedule.at(stop).alpha)
        for _ in range(flat.shape[1]):
            hidden = flat == mask
            u = fine_uniform((len(x),), generator, device=x.device).cpu()
            left = left * u ** (1 / hidden.sum(1).clamp_min(1).cpu().double())
            due = (left >= last).to(x.device) & hidden.any(1)
            order = fine_uniform(flat.shape, generator, device=x.device)
            order = order.to(x.device, widest(x.device))
            which = torch.where(hidden, order, -1.0).argmax(1)
            if not bool(due.any()):
                break
            t = _time_of(process.schedule, left.clamp_min(last), start, stop).to(x.device)
            drawn = drawn_from_logits(model(flat.view(shape), t), generator).flatten(1)
            shown = torch.where(due.unsqueeze(1), drawn, flat)
            flat = flat.scatter(1, which.unsqueeze(1), shown.gather(1, which.unsqueeze(1)))
        return State(flat.view(shape))


def _time_of(schedule: Any, hidden: Tensor, start: float, stop: float) -> Tensor:
    """The times at which the share of hidden tokens is as given."""
    low, high = torch.full_like(hidden, stop), torch.full_like(hidden, start)
    t = increasing_root(lambda s: 1 - schedule.values(s)[0] - hidden, low, high)
    return t.clamp(stop, start).to(torch.get_default_dtype())
