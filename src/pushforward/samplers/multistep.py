r"""DPM-Solver++(2M): an exponential integrator in the log signal-to-noise ratio.

With `lambda = log(alpha / sigma)` the probability flow of a Gaussian process solves

    x_s = (sigma_s / sigma_t) x_t + sigma_s int_{lambda_t}^{lambda_s} e^lambda E[x_0 | x] d lambda,

where the linear part is exact and only the prediction is approximated: here by the line through
the last two (Lu et al. 2022b, algorithm 2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from pushforward._shapes import combine
from pushforward.config import configurable
from pushforward.errors import CapabilityError, InputError
from pushforward.processes import Gaussian
from pushforward.protocols import State, Transport

__all__ = ["DPMSolver2M"]


@configurable
@dataclass(frozen=True)
class DPMSolver2M:
    """Order 2 with one evaluation per step; the first step is of order 1, DDIM.

    Raises `CapabilityError` unless the process is `Gaussian`.
    """

    evaluations = 1

    def init(self, x: Any) -> State:
        """The state, and nothing remembered yet."""
        return State(x)

    def step(
        self,
        transport: Transport,
        state: State,
        t: float,
        s: float,
        generator: torch.Generator | None = None,
    ) -> State:
        """One step from the predictions at `t` and at the time before."""
        model, process = transport
        if not isinstance(process, Gaussian):
            raise CapabilityError(
                f"dpm++2m integrates Gaussian processes, not {type(process).__name__}: "
                "use euler, sde or a pinned sampler"
            )
        schedule = process.schedule
        now, then = schedule.at(t), schedule.at(s)
        if not s < t:
            raise InputError(f"dpm++2m runs towards the data, not from {t} to {s}: use heun")
        if now.alpha == 0:
            raise InputError(f"no signal at t = {t}: start the grid at {schedule.t_max}")
        pred = model(state.x, t)
        here, there = 0.5 * schedule.log_snr(t), 0.5 * schedule.log_snr(s)
        h = there - here
        # x_s = scale x_t + gain D, and gain = alpha_s (1 - e^{-h}); at sigma_s = 0, D itself.
        scale, gain = then.sigma / now.sigma, -then.alpha * math.expm1(-h)
        memory = (pred, here)
        if not state.memory or math.isinf(h):
            return State(combine((scale, gain), (state.x, pred)), memory)
        before, earlier = state.memory
        slope = gain * 0.5 * h / (here - earlier)
        x = combine((scale, gain + slope, -slope), (state.x, pred, before))
        return State(x, memory)
