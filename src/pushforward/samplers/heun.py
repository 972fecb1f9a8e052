"""Heun's method on the probability flow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from pushforward.config import configurable
from pushforward.errors import CapabilityError
from pushforward.protocols import State, Transport

__all__ = ["Heun"]


@configurable
@dataclass(frozen=True)
class Heun:
    """An Euler step, corrected by the mean of the velocities at both ends: order 2.

    Two evaluations per step (Karras et al. 2022 without churn). Needs a linear space: raises
    `CapabilityError` for dynamics that are not a flow on one.
    """

    evaluations = 2

    def init(self, x: Any) -> State:
        """The state alone."""
        return State(x)

    def step(
        self,
        transport: Transport,
        state: State,
        t: float,
        s: float,
        generator: torch.Generator | None = None,
    ) -> State:
        """`x_s = x_t + (s - t) (v_t + v_s) / 2`."""
        h = s - t
        here = transport.dynamics(state.x, t)
        if not getattr(getattr(here, "space", None), "linear", False):
            raise CapabilityError(
                f"Heun averages velocities, which needs a flow on a linear space, not "
                f"{type(transport.process).__name__}: use the euler sampler"
            )
        v = here.velocity
        there = transport.dynamics(torch.add(state.x, v, alpha=h), s)
        return State(torch.add(state.x, v.add_(there.velocity), alpha=0.5 * h))
