r"""The exponential integrator of convergence proofs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward._shapes import accumulate, combine
from pushforward.config import configurable
from pushforward.protocols import State, Transport
from pushforward.samplers.rule import Rule, gaussian_schedule

__all__ = ["RelativeScore"]


class _Row(NamedTuple):
    """One step: `x_s = keep x_t + gain prediction + std noise`."""

    t: float
    keep: float
    gain: float
    std: float


@configurable
@dataclass(frozen=True)
class RelativeScore(Rule):
    r"""The reverse SDE with the score relative to the standard normal density frozen in a step.

    On the clock of `dX = -X dt + sqrt(2) dB`, where `y = x / sqrt(alpha^2 + sigma^2)`, the reverse
    SDE is `dY = (-Y + 2 u) dt + sqrt(2) dB` with `u = grad log p(y) + y`, and a step of length `h`

        y_s = e^{-h} y_t + 2 (1 - e^{-h}) u_t(y_t) + sqrt(1 - e^{-2 h}) noise

    (Conforti et al. 2023). Where the data are standard normal, `u` is zero and steps are exact.
    `ddpm`, which freezes the posterior mean, is better near the data; this one is for the theory
    that is written about it. `churn` is 1: it has no deterministic form.

    Raises `CapabilityError` unless the process is Gaussian, `InputError` for a grid that runs
    towards the noise.

    >>> from pushforward import processes, samplers, schedules
    >>> process = processes.Gaussian(schedules.OU())
    >>> transport = Transport(lambda x, t, c=None: process.schedule.at(t).alpha * x, process)
    >>> x = samplers.run(RelativeScore(), transport, torch.zeros(10_000, 1), [0.5, 0.01], seed=0)
    >>> round(x.std().item(), 1)  # 1 - exp(-2 * 5 * 0.49), its root
    1.0
    """

    @property
    def churn(self) -> float:
        """1: the noise of the reverse SDE."""
        return 1.0

    def plan(self, process: object, grid: Sequence[float]) -> list[_Row]:
        """The weights of each step."""
        schedule = gaussian_schedule(process, grid, self)
        rows = []
        for t, s in pairwise(grid):
            alpha, sigma = (float(value) for value in schedule.values(t))
            alpha_s, sigma_s = (float(value) for value in schedule.values(s))
            scale, end = math.hypot(alpha, sigma), math.hypot(alpha_s, sigma_s)
            decay = alpha / scale / (alpha_s / end)
            # u = (alpha c / sigma^2) (D - (alpha / c^2) x) with c the scale.
            gain = 2 * (1 - decay) * end * alpha * scale / sigma**2
            keep = decay * end / scale - gain * alpha / scale**2
            rows.append(_Row(t, keep, gain, end * math.sqrt(1 - decay**2)))
        return rows

    def step(
        self,
        transport: Transport,
        state: State,
        row: _Row,
        generator: torch.Generator | None = None,
    ) -> State:
        """The state at the end of the step."""
        x: Tensor = state.x
        mean = combine((row.keep, row.gain), (x, transport.model(x, row.t)))
        noise = transport.process.space.randn(x, generator)
        return State(accumulate(mean, (row.std,), (noise,)))
