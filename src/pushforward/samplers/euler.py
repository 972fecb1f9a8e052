"""The first-order step of any dynamics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import torch

from pushforward import checks
from pushforward.config import configurable
from pushforward.dynamics import FlowWeights
from pushforward.protocols import LinearFlow, State, Transport, follows
from pushforward.samplers.late_jumps import late_weights, watched
from pushforward.samplers.rule import Rule

__all__ = ["Euler", "Stage", "flow_weights", "stage_dynamics", "stages"]


class Stage(NamedTuple):
    """A step from `t` over `h`, with the weights of the flow at `t` where the process has them, and
    what it counts among the late steps (`late_jumps`)."""

    t: float
    h: float
    weights: FlowWeights | None
    late: float = 0.0


def stages(process: Any, grid: Sequence[float]) -> list[Stage]:
    """One stage per step of a grid."""
    found, late = flow_weights(process, grid[:-1]), late_weights(len(grid) - 1)
    rows = zip(pairwise(grid), found, late, strict=True)
    return [Stage(t, s - t, weights, own) for (t, s), weights, own in rows]


def flow_weights(process: Any, times: Sequence[float]) -> list[FlowWeights | None]:
    """The weights of the flow at each time, where they do not depend on the state."""
    if not follows(process, LinearFlow):
        return [None] * len(times)
    return [process.flow_weights(t) for t in times]


def stage_dynamics(transport: Transport, x: Any, t: float, weights: FlowWeights | None) -> Any:
    """The characteristics at `(x, t)`, with weights that are known already or not."""
    model, process = transport
    pred = model(x, t)
    return process.dynamics(pred, x, t) if weights is None else process.flow(pred, x, weights)


@configurable
@dataclass(frozen=True)
class Euler(Rule):
    """Euler's method on a flow, Euler-Maruyama with churn, tau-leaping on jumps.

    `churn = 0` integrates the probability flow (order 1), `churn = 1` the reverse SDE (weak order
    1); between and beyond, the same marginals with more or less noise. Works on every space.

    Warns where tokens would jump several times in late steps, as `TauLeaping` does. Raises
    `InputError` for a negative or infinite churn.
    """

    churn: float = 0.0

    def __post_init__(self) -> None:
        checks.number("churn", self.churn, least=0)

    def plan(self, process: Any, grid: Sequence[float]) -> list[Stage]:
        """The times, and the weights of the flow at each."""
        return stages(process, grid)

    def step(
        self,
        transport: Transport,
        state: State,
        row: Stage,
        generator: torch.Generator | None = None,
    ) -> State:
        """`x_s = x_t + (s - t) v + noise`."""
        dynamics = stage_dynamics(transport, state.x, row.t, row.weights)
        memory = watched(state.memory, dynamics, row.h, self.churn, row.late)
        return State(dynamics.advance(state.x, row.h, self.churn, generator), memory)
