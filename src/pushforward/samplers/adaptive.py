"""Adaptive solvers: as many inner steps between two times of the grid as a tolerance asks for."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward import checks
from pushforward._shapes import accumulate, flatten
from pushforward.config import configurable
from pushforward.errors import SamplingError
from pushforward.protocols import State, Transport
from pushforward.samplers.manifold_ode import flow_ode
from pushforward.samplers.rule import Rule

__all__ = ["Adaptive", "DormandPrince", "Solution", "solve"]

# Dormand & Prince (1980), RK5(4)7M: nodes, stages, and the weights of the error estimate.
_C = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
_A: tuple[tuple[float, ...], ...] = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_E = (
    71 / 57600,
    0.0,
    -71 / 16695,
    71 / 1920,
    -17253 / 339200,
    22 / 525,
    -1 / 40,
)

MOST_EVALUATIONS = 10_000
"""Evaluations after which a solver of the flow gives up, unless told otherwise: smooth flows take
hundreds, and some thousands at the resolution of double precision."""


class Solution(NamedTuple):
    """The end of an adaptive solution, the next step size it would try, and what it took."""

    x: Tensor
    h: float
    evaluations: int


def solve(
    rate: Callable[[Tensor, float], Tensor],
    x: Tensor,
    t: float,
    s: float,
    *,
    rtol: float,
    atol: float,
    h: float | None = None,
    most: int = MOST_EVALUATIONS,
    prepare: Callable[[Sequence[float]], None] = lambda times: None,
) -> Solution:
    """Solve `dx/dt = rate(x, t)` from `t` to `s` by Dormand & Prince's pair of orders 5 and 4.

    The error of a step is the root mean square of each row's, over `atol + rtol |x|`, and the worst
    row decides, so that no row pays for a larger batch. Step sizes follow the controller of Hairer
    et al. (1993, II.4). `prepare` is told the times of a step before they are used.

    Raises `SamplingError` if a step underflows, since the solution is not finite or too stiff, or
    if it would take more than `most` evaluations.
    """
    direction, whole = (1.0 if s > t else -1.0), abs(s - t)
    step = min(abs(h) if h else 0.05 * abs(s - t), abs(s - t))
    prepare((t,))
    first, evaluations, before, least = rate(x, t), 1, 1.0, 1e-10
    while True:
        left = abs(s - t)
        if left <= 1e-14:
            return Solution(x, step, evaluations)
        if evaluations + len(_C) > most:
            raise SamplingError(spent(most, left / whole, rtol, atol, x.dtype))
        step = min(step, left)
        # A step that would leave a sliver takes it along.
        last = left - step < 1e-12
        signed = direction * (left if last else step)
        times = [s if last and c == 1.0 else t + c * signed for c in _C]
        prepare(times)
        slopes = [first]
        end = x
        for time, row in zip(times, _A, strict=True):
            end = accumulate(x, [signed * a for a in row], slopes)
            slopes.append(rate(end, time))
        evaluations += len(_C)
        wrong = accumulate(torch.zeros_like(x), [signed * e for e in _E], slopes)
        scale = atol + rtol * torch.maximum(x.abs(), end.abs())
        ratio = worst_row(wrong.detach(), scale.detach())
        if ratio <= 1.0:
            t, x, first = times[-1], end, slopes[-1]
            # A proportional-integral controller: smoother than the last error alone.
            # One that is far below the last is a zero of the estimate more often than of the error.
            ratio = max(ratio, least)
            factor = 0.9 * ratio**-0.14 * before**0.08
            before, least = max(ratio, 1e-4), max(0.1 * ratio, 1e-10)
            step *= min(5.0, max(0.2, factor))
        else:
            step *= max(0.2, 0.9 * ratio**-0.2) if math.isfinite(ratio) else 0.2
        if step < 1e-13:
            raise SamplingError(
                f"the adaptive solver got stuck at t = {t:.6g}: the model is not finite or too "
                "rough there; stop earlier (stop=), or allow more error than "
                f"rtol={rtol:g}, atol={atol:g}"
            )


def spent(most: int, left: float, rtol: float, atol: float, dtype: torch.dtype) -> str:
    """What to say of a solver that has spent its budget with a share of the way `left`."""
    told = (
        f"the adaptive solver has spent its {most} evaluations with {left:.0%} of the way left: "
        f"allow more error than rtol={rtol:g}, atol={atol:g}, or give it more of them "
        "(max_evaluations=)"
    )
    resolution = torch.finfo(dtype).eps
    if max(rtol, atol) < 10 * resolution:
        told += f"; {dtype} resolves no more than {resolution:.1g}: take double precision"
    return told


def worst_row(error: Tensor, scale: Tensor) -> float:
    """The largest root mean square of a row of errors over their scales."""
    return float(flatten(error / scale).square().mean(-1).amax().sqrt())


@dataclass(frozen=True)
class Adaptive(Rule):
    """What samplers that choose their own steps share: tolerances, and what a state remembers.

    Raises `InputError` for tolerances that are not positive, a relative one of 1 and more, or fewer
    than one evaluation.
    """

    rtol: float = 1e-4
    atol: float = 1e-4
    max_evaluations: int = field(default=MOST_EVALUATIONS, kw_only=True)

    @property
    def evaluations(self) -> int:
        """As many as it takes."""
        return 0

    def __post_init__(self) -> None:
        checks.fraction("rtol", checks.positive("rtol", self.rtol))
        checks.positive("atol", self.atol)
        checks.whole("max_evaluations", self.max_evaluations)

    def init(self, x: Tensor) -> State:
        """The state, no step size yet, and no evaluations."""
        return State(x, (None, 0))


@configurable
@dataclass(frozen=True)
class DormandPrince(Adaptive):
    """The probability flow to a tolerance, by an embedded Runge-Kutta pair of orders 5 and 4.

    The number of evaluations follows from the tolerance, not from the grid: two times are enough.
    The times between may be of use for a trajectory. A Gaussian process is integrated in the share
    of its noise (`samplers.ode`), where schedules with jumps in their rate are as smooth as others.
    The tolerance is that of a step; the error of a whole flow was below it for normal data, and
    below ten times as much for eight narrow modes, on every schedule.
    `State.memory` holds the next step to try, in those units, and the evaluations so far.

    Args:
        rtol: the allowed error of a step relative to the state.
        atol: the allowed absolute error.
        max_evaluations: of the model, in all.

    Raises `InputError` for settings out of range, `CapabilityError` for dynamics that are not a
    flow on a linear space, `SamplingError` where the solution cannot be continued or the
    evaluations are spent.
    """

    def step(
        self,
        transport: Transport,
        state: State,
        row: tuple[float, float],
        generator: torch.Generator | None = None,
    ) -> State:
        """The state at the end of the interval."""
        t, s = row
        ode = flow_ode(transport, row)
        h, evaluations = state.memory
        found = solve(
            ode.velocity,
            ode.enter(state.x, t),
            ode.clock(t),
            ode.clock(s),
            rtol=self.rtol,
            atol=self.atol,
            h=h,
            most=self.max_evaluations - evaluations,
            prepare=ode.prepare,
        )
        return State(ode.leave(found.x, s), (found.h, evaluations + found.evaluations))
