"""What samplers have in common: a plan of plain steps, and a state that remembers nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch

from pushforward import registry
from pushforward.errors import CapabilityError, InputError
from pushforward.protocols import GaussianKernels, State, Transport, follows
from pushforward.schedules import Schedule

__all__ = ["Rule", "gaussian_schedule"]


class Rule(ABC):
    """A sampler with the defaults of most: rows `(t, s)`, and the state alone.

    A subclass defines `step`, and `plan` where something can be computed before the loop.
    """

    @property
    def evaluations(self) -> int:
        """One evaluation of the model per step."""
        return 1

    def plan(self, process: Any, grid: Sequence[float]) -> Sequence[Any]:
        """The two times of each step."""
        return list(pairwise(grid))

    def init(self, x: Any) -> State:
        """The state alone."""
        return State(x)

    def rehearsed(self) -> Rule:
        """A sampler that draws noise as this one does, with any model on states of any shape."""
        return self

    @abstractmethod
    def step(
        self,
        transport: Transport,
        state: State,
        row: Any,
        generator: torch.Generator | None = None,
    ) -> State:
        """The state at the end of a step, from the state at its beginning."""


def gaussian_schedule(process: Any, grid: Sequence[float], sampler: Any) -> Schedule:
    """The schedule of a Gaussian process, for a sampler, or what is called so, that goes from noise
    to data.

    Raises `CapabilityError` for another process, `InputError` for a grid towards the noise or one
    that starts where no signal is left.
    """
    if not follows(process, GaussianKernels):
        raise CapabilityError(
            f"{registry.called('samplers', sampler)} integrates Gaussian processes, not "
            f"{type(process).__name__}: use euler, sde or a pinned sampler"
        )
    if not grid[-1] < grid[0]:
        raise InputError(
            f"{registry.called('samplers', sampler)} runs towards the data, not from {grid[0]} to "
            f"{grid[-1]}: use heun"
        )
    if process.schedule.at(grid[0]).alpha == 0:
        raise InputError(f"no signal at t = {grid[0]}: start the grid at {process.schedule.t_max}")
    schedule: Schedule = process.schedule
    return schedule
