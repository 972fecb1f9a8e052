"""Random paths of a controlled diffusion, as the outer iterations simulate them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward.processes import ControlledReference
from pushforward.schrodinger.controlled import Control, ControlledDiffusion, Step

__all__ = ["SimulatedPaths", "equal_times", "simulate_ends", "simulate_paths"]


def equal_times(steps: int, forward: bool) -> list[float]:
    """Times of equal steps in one direction: forward from the source, at 1, to the target, at 0.

    >>> equal_times(2, forward=True)
    [1.0, 0.5, 0.0]
    """
    times = [k / steps for k in range(steps + 1)]
    return times[::-1] if forward else times


def steps_of(process: ControlledDiffusion, times: Sequence[float]) -> list[Step]:
    """The random steps between times."""
    return [process.step(t, s) for t, s in pairwise(times)]


def simulate_ends(
    process: ControlledDiffusion | ControlledReference,
    control: Control,
    x: Tensor,
    steps: int,
    *,
    forward: bool,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The ends of random paths in one direction, from states `(B, *event)` of the other end.

    >>> from pushforward.processes import Bridge
    >>> from pushforward.schrodinger import zero_control
    >>> g = torch.Generator().manual_seed(0)
    >>> process = ControlledDiffusion(Bridge(0.1))
    >>> simulate_ends(process, zero_control, torch.ones(2, 1), 4, forward=True, generator=g).shape
    torch.Size([2, 1])
    """
    for t, s in pairwise(equal_times(steps, forward)):
        x = process.move(x, control(x, t), t, s, generator)
    return x


class SimulatedPaths(NamedTuple):
    """States after each step of random paths, and what the other direction is fitted to.

    Args:
        steps: the steps, `N`.
        states: `(B, N, *event)`; the last ones are the ends.
        reversed_means: means of the reversed steps, one draw each, `(B, N, *event)`.
    """

    steps: list[Step]
    states: Tensor
    reversed_means: Tensor


def simulate_paths(
    process: ControlledDiffusion,
    control: Control,
    x: Tensor,
    steps: int,
    *,
    forward: bool,
    generator: torch.Generator | None = None,
) -> SimulatedPaths:
    """Random paths with every state kept, for diffusion Schrödinger bridges.

    With `F` the mean of a step, the reversed step from `x_{k+1}` has the mean
    `x_{k+1} + F(x_k) - F(x_{k+1})` in expectation (De Bortoli et al. 2021, Proposition 3): two
    evaluations per step.
    """
    plan = steps_of(process, equal_times(steps, forward))
    states, means = [], []
    for step in plan:
        mean = step.mean(process.reference, x, control(x, step.t), forward)
        x = torch.add(mean, process.space.randn(mean, generator), alpha=step.std)
        states.append(x)
        again = step.mean(process.reference, x, control(x, step.t), forward)
        means.append(x + mean - again)
    return SimulatedPaths(plan, torch.stack(states, 1), torch.stack(means, 1))
