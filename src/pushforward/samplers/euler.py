"""The first-order step of any dynamics."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.protocols import State, Transport

__all__ = ["Euler"]


@configurable
@dataclass(frozen=True)
class Euler:
    """Euler's method on a flow, Euler-Maruyama with churn, tau-leaping on jumps.

    `churn = 0` integrates the probability flow (order 1), `churn = 1` the reverse SDE (weak order
    1); between and beyond, the same marginals with more or less noise. Works on every space.

    Raises `InputError` for a negative or infinite churn.
    """

    churn: float = 0.0
    evaluations = 1

    def __post_init__(self) -> None:
        if not (self.churn >= 0 and math.isfinite(self.churn)):
            raise InputError(f"churn must be finite and non-negative, not {self.churn}")

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
        """`x_s = x_t + (s - t) v + noise`."""
        dynamics = transport.dynamics(state.x, t)
        return State(dynamics.advance(state.x, s - t, self.churn, generator))
