"""Heun's method on the probability flow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch

from pushforward.config import configurable
from pushforward.dynamics import Flow
from pushforward.errors import CapabilityError
from pushforward.protocols import State, Transport
from pushforward.samplers.euler import Stage, flow_weights, stage_dynamics
from pushforward.samplers.rule import Rule

__all__ = ["Heun"]


@configurable
@dataclass(frozen=True)
class Heun(Rule):
    """An Euler step, corrected by the mean of the velocities at both ends: order 2.

    Two evaluations per step (Karras et al. 2022 without churn). Needs a linear space: raises
    `CapabilityError` for dynamics that are not a flow on one.
    """

    @property
    def evaluations(self) -> int:
        """Two per step."""
        return 2

    def plan(self, process: Any, grid: Sequence[float]) -> list[tuple[Stage, Stage]]:
        """The weights of the flow at both ends of each step."""
        found = flow_weights(process, grid)
        return [
            (Stage(t, s - t, here), Stage(s, s - t, there))
            for (t, here), (s, there) in pairwise(zip(grid, found, strict=True))
        ]

    def step(
        self,
        transport: Transport,
        state: State,
        row: tuple[Stage, Stage],
        generator: torch.Generator | None = None,
    ) -> State:
        """`x_s = x_t + (s - t) (v_t + v_s) / 2`."""
        (t, h, at_t), (s, _, at_s) = row
        here = stage_dynamics(transport, state.x, t, at_t)
        if not (isinstance(here, Flow) and here.space.linear):
            raise CapabilityError(
                f"Heun averages velocities, which needs a flow on a linear space, not "
                f"{type(transport.process).__name__}: use the euler sampler"
            )
        ahead = here.advance(state.x, h)
        there = stage_dynamics(transport, ahead, s, at_s)
        # Half of each Euler step, the second one from the same point.
        return State(there.advance(here.advance(state.x, 0.5 * h), 0.5 * h))
