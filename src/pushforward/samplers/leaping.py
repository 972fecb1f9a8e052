"""Tau-leaping: jumps of all sites at once, at rates that stay as they are during a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, get_args

import torch

from pushforward import checks
from pushforward.config import configurable
from pushforward.dynamics import Firing, fired_by
from pushforward.protocols import State, Transport
from pushforward.samplers.rule import Rule

__all__ = ["TauLeaping"]


@configurable
@dataclass(frozen=True)
class TauLeaping(Rule):
    """Jumps by the rates at the beginning of a step (Campbell et al. 2022); weak order 1.

    Args:
        firing: `single`, by which a site that would jump several times in a step does not jump at
            all: two symbols have no sum where they have no order; `linear`, Euler's step of the
            master equation; `exponential`, by which a site makes the first of its jumps, as in
            `Euler`.
        churn: so much of the rates of the process and of its reversal in addition, which together
            leave the law at a time alone: a corrector at the same evaluation.

    A step to time 0 draws the data at once where the process knows how, so that no mask is left.

    Raises `InputError` for another rule, or a negative churn.
    """

    firing: Firing = "single"
    churn: float = 0.0

    def __post_init__(self) -> None:
        checks.one_of("firing", self.firing, get_args(Firing))
        checks.number("churn", self.churn, least=0)

    def plan(self, process: Any, grid: Sequence[float]) -> list[tuple[float, float]]:
        """The two times of each step."""
        return list(pairwise(grid))

    def step(
        self,
        transport: Transport,
        state: State,
        row: tuple[float, float],
        generator: torch.Generator | None = None,
    ) -> State:
        """The leap from `t` to `s`."""
        (model, process), x, (t, s) = transport, state.x, row
        pred = model(x, t)
        if s == 0.0:
            return State(process.finish(pred, x, t, generator))
        leap = fired_by(process.dynamics(pred, x, t), self.firing)
        return State(leap.advance(x, s - t, self.churn, generator))
