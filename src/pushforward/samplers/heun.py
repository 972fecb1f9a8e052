"""Heun's method on the probability flow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import torch

from pushforward._shapes import combine
from pushforward.config import configurable
from pushforward.dynamics import Flow, Parallel
from pushforward.errors import CapabilityError
from pushforward.protocols import GaussianKernels, State, Transport, follows
from pushforward.samplers.euler import Stage, flow_weights, stage_dynamics
from pushforward.samplers.ode import noise_share
from pushforward.samplers.rule import Rule

__all__ = ["Heun"]


class Straight(NamedTuple):
    """A step of a Gaussian process from `t` to `s`: weights of states and predictions.

    Those of `(x_t, prediction)` for the state ahead, and those of `(x_t, prediction, state ahead,
    prediction there)` for the end of the step.
    """

    t: float
    s: float
    ahead: tuple[float, float]
    end: tuple[float, float, float, float]


@configurable
@dataclass(frozen=True)
class Heun(Rule):
    """An Euler step, corrected by the mean of the velocities at both ends: order 2.

    Two evaluations per step. A Gaussian process is integrated in the share of its noise
    (`samplers.ode`), where schedules with jumps in their rate are as smooth as others; for
    `Rectified` that is its time. On a manifold the second velocity is carried back in parallel
    along the geodesic of the Euler step before the two are averaged. Raises `CapabilityError` for
    dynamics that are not a flow.
    """

    @property
    def evaluations(self) -> int:
        """Two per step."""
        return 2

    def plan(
        self, process: Any, grid: Sequence[float]
    ) -> list[Straight] | list[tuple[Stage, Stage]]:
        """The weights of each step, or those of the flow at both its ends."""
        if follows(process, GaussianKernels):
            return [_straight(process, t, s) for t, s in pairwise(grid)]
        found = flow_weights(process, grid)
        return [
            (Stage(t, s - t, here), Stage(s, s - t, there))
            for (t, here), (s, there) in pairwise(zip(grid, found, strict=True))
        ]

    def step(
        self,
        transport: Transport,
        state: State,
        row: Straight | tuple[Stage, Stage],
        generator: torch.Generator | None = None,
    ) -> State:
        """`x_s = x_t + (s - t) (v_t + v_s) / 2`, in the coordinates of the step."""
        if isinstance(row, Straight):
            x, model = state.x, transport.model
            pred = model(x, row.t)
            ahead = combine(row.ahead, (x, pred))
            return State(combine(row.end, (x, pred, ahead, model(ahead, row.s))))
        first, second = row
        here = stage_dynamics(transport, state.x, first.t, first.weights)
        _check(here)
        ahead = here.advance(state.x, first.h)
        there = stage_dynamics(transport, ahead, second.t, second.weights)
        return State(_corrected(here, state.x, ahead, there, first.h))


def _check(dynamics: Any) -> None:
    """Raise `CapabilityError` for what has no velocity to average."""
    for own in dynamics.factors if isinstance(dynamics, Parallel) else (dynamics,):
        if isinstance(own, Parallel):
            _check(own)
        elif not isinstance(own, Flow):
            raise CapabilityError(
                f"Heun averages velocities, which needs a flow, not {type(own).__name__}: use the "
                "euler sampler"
            )


def _corrected(here: Any, x: Any, ahead: Any, there: Any, h: float) -> Any:
    """The end of a step from the dynamics at its start and at the state ahead."""
    if isinstance(here, Parallel):
        parts = zip(here.factors, x, ahead, there.factors, strict=True)
        return tuple(_corrected(*own, h) for own in parts)
    if here.space.linear:
        # Half of each Euler step, the second one from the same point.
        return there.advance(here.advance(x, 0.5 * h), 0.5 * h)
    back = here.space.transport(ahead, x, there.velocity)
    return here.space.exp(x, 0.5 * h * (here.velocity + back))


def _straight(process: GaussianKernels, t: float, s: float) -> Straight:
    """Heun's step on `dz/dw = (z - prediction) / w`, written for `x = scale z`."""
    w, w_s = (noise_share(process.schedule, time) for time in (t, s))
    scale, scale_s = (float(sum(process.schedule.values(time))) for time in (t, s))
    here, there, grown = (w_s - w) / w, (w_s - w) / w_s, scale_s / scale
    return Straight(
        t,
        s,
        ahead=(grown * (1 + here), -scale_s * here),
        end=(grown * (1 + 0.5 * here), -0.5 * scale_s * here, 0.5 * there, -0.5 * scale_s * there),
    )
