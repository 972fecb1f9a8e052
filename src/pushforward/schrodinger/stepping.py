r"""Random paths of a steered reference, in steps that are exact where everything is normal.

Given its end, a path moves by the reference's pinned step; the end itself is known up to its mean,
which the heading says, and its variance `V`:

    x_s = keep x_t + gain E[end | x_t] + (std^2 + gain^2 V)^{1/2} noise.

For normal laws this is the exact transition of the bridge, whatever the length of the step. With
the reference's own `V` it is the step of Euler and Maruyama; with `V = 0` no noise is left at the
end, as where the data lie on few points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pushforward import samplers
from pushforward._random import normal_like
from pushforward._shapes import combine
from pushforward.config import configurable
from pushforward.errors import CapabilityError
from pushforward.protocols import State, Transport
from pushforward.samplers.rule import Rule
from pushforward.schrodinger.steering import Heading, Headings, Steered, expected_end

__all__ = ["Path", "Pinned", "Step", "follow", "simulate"]


class Step(NamedTuple):
    """A step from `t` to `s`: the weights of state and expected end, and the noise.

    Floats, or tensors `(B,)` with a step for each state.
    """

    t: Any
    s: Any
    keep: Any
    gain: Any
    std: Any

    def mean(self, process: Steered, x: Tensor, heading: Heading) -> Tensor:
        """The mean of the step from states `(B, *event)`."""
        remaining = 1 - self.t if self.s > self.t else self.t
        end = expected_end(process.reference, x, heading(x, self.t), remaining)
        return combine((self.keep, self.gain), (x, end))


def steps_of(process: Steered, grid: Sequence[float]) -> list[Step]:
    """The steps of a grid, in either direction."""
    found = []
    for t, s in pairwise(grid):
        remaining = 1 - t if s > t else t
        # Rounding must not make the last step longer than what remains.
        pinned = process.reference.pinned(remaining, min(abs(s - t), remaining))
        variance = pinned.std**2 + pinned.gain**2 * process.end_variance(remaining, s > t)
        found.append(Step(t, s, pinned.keep, pinned.gain, math.sqrt(variance)))
    return found


@configurable
@dataclass(frozen=True)
class Pinned(Rule):
    """The step above as a sampler, for a `Steered` process: one network per step, forward or back.

    Raises `CapabilityError` for another process.
    """

    def plan(self, process: Any, grid: Sequence[float]) -> list[Step]:
        """The weights of each step."""
        if not isinstance(process, Steered):
            raise CapabilityError(
                f"this step follows a Schrödinger bridge, not {type(process).__name__}: use sde"
            )
        return steps_of(process, grid)

    def step(
        self,
        transport: Transport,
        state: State,
        row: Step,
        generator: torch.Generator | None = None,
    ) -> State:
        """One step towards either end."""
        model: Any = transport.model
        mean = row.mean(transport.process, state.x, model.towards(row.s > row.t))
        return State(torch.add(mean, normal_like(mean, generator), alpha=row.std))


def simulate(
    process: Steered,
    heading: Heading,
    x: Tensor,
    steps: int,
    *,
    forward: bool,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The ends of random paths from states `(B, *event)` of the other end.

    >>> from pushforward.processes import Bridge
    >>> from pushforward.schrodinger import reference_heading
    >>> g = torch.Generator().manual_seed(0)
    >>> simulate(Steered(Bridge(0.1)), reference_heading, torch.ones(2, 1), 4, forward=True,
    ...          generator=g).shape
    torch.Size([2, 1])
    """
    transport = Transport(Headings(heading, heading), process)
    times = [k / steps for k in range(steps + 1)]
    grid = times if forward else times[::-1]
    return samplers.run(Pinned(), transport, x, grid, generator=generator)


class Path(NamedTuple):
    """States after each step of random paths, and what the way back is fitted to.

    Args:
        steps: the steps, `N`.
        states: `(B, N, *event)`; the last ones are the ends.
        means: means of the reversed steps, one draw each, `(B, N, *event)`.
    """

    steps: list[Step]
    states: Tensor
    means: Tensor


def follow(
    process: Steered,
    heading: Heading,
    x: Tensor,
    steps: int,
    *,
    forward: bool,
    generator: torch.Generator | None = None,
) -> Path:
    """Random paths with every state kept, for diffusion Schrödinger bridges.

    With `F` the mean of a step, the reversed step from `x_{k+1}` has the mean
    `x_{k+1} + F(x_k) - F(x_{k+1})` in expectation (De Bortoli et al. 2021, Proposition 3): two
    evaluations per step.
    """
    times = [k / steps for k in range(steps + 1)]
    plan = steps_of(process, times if forward else times[::-1])
    states, means = [], []
    for step in plan:
        mean = step.mean(process, x, heading)
        x = torch.add(mean, normal_like(mean, generator), alpha=step.std)
        states.append(x)
        means.append(x + mean - step.mean(process, x, heading))
    return Path(plan, torch.stack(states, 1), torch.stack(means, 1))
