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
from pushforward.samplers.late_jumps import late_weights, watched
from pushforward.samplers.rule import Rule

__all__ = ["TauLeaping"]


@configurable
@dataclass(frozen=True)
class TauLeaping(Rule):
    """Jumps by the rates at the beginning of a step (Campbell et al. 2022); weak order 1.

    Args:
        firing: what becomes of a site that would jump several times in a step, as it cannot make
            jumps at once that have no sum: `exponential`, it makes the first of them, as in
            `Euler`; `single`, it does not jump at all, as published, which has about twice the
            error; `linear`, Euler's step of the master equation.
        churn: so much of the rates of the process and of its reversal in addition, which together
            leave the law at a time alone: a corrector at the same evaluation.

    A step to time 0 draws the data at once where the process knows how, so that no mask is left.

    Warns where a site goes its way in several jumps, along an order or between neighbors, and more
    than a twentieth of the sites would jump twice in a step of the last quarter: see
    `samplers.late_jumps`.

    Raises `InputError` for another rule, or a negative churn.
    """

    firing: Firing = "exponential"
    churn: float = 0.0

    def __post_init__(self) -> None:
        checks.one_of("firing", self.firing, get_args(Firing))
        checks.number("churn", self.churn, least=0)

    def plan(self, process: Any, grid: Sequence[float]) -> list[tuple[float, float, float]]:
        """The two times of each step, and what it counts among the late leaps."""
        rows = list(pairwise(grid))
        leaps = sum(s != 0.0 for _, s in rows)
        # A step to time 0 is no leap.
        weights = [*late_weights(leaps), 0.0]
        return [(t, s, weight) for (t, s), weight in zip(rows, weights, strict=False)]

    def step(
        self,
        transport: Transport,
        state: State,
        row: tuple[float, float, float],
        generator: torch.Generator | None = None,
    ) -> State:
        """The leap from `t` to `s`."""
        (model, process), x, (t, s, weight) = transport, state.x, row
        pred = model(x, t)
        if s == 0.0:
            return State(process.finish(pred, x, t, generator))
        leap = fired_by(process.dynamics(pred, x, t), self.firing)
        memory = watched(state.memory, leap, s - t, self.churn, weight)
        return State(leap.advance(x, s - t, self.churn, generator), memory)
