"""The stochastic sampler of EDM: Heun's method in the noise level, with noise added and removed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pushforward import checks
from pushforward._shapes import Weight, combine
from pushforward.config import configurable
from pushforward.protocols import State, Transport
from pushforward.samplers.rule import Rule, gaussian_schedule

__all__ = ["EDMStochastic"]


class _Row(NamedTuple):
    """Raise `x` to `raise_keep x + raise_std noise` at `t`, step by `ahead`, mean by `heun`."""

    raise_keep: Weight
    raise_std: Weight | None
    t: float
    ahead: tuple[Weight, Weight]
    s: float
    heun: tuple[Weight, Weight, Weight, Weight] | None


@configurable
@dataclass(frozen=True)
class EDMStochastic(Rule):
    r"""Algorithm 2 of Karras et al. (2022), on any schedule.

    Each step first adds noise, from level `u = sigma / alpha` to `u + gamma u`, and then takes a
    Heun step of `dy/du = (y - E[x_0 | x]) / u` for `y = x / alpha` down to the next level. Two
    evaluations per step. Order 2 without churn, and with it only for `inflate=1`: new noise that is
    too large leaves an error that no number of steps removes, up to `inflate^2 - 1` of the
    variance, 0.6 % by default.

    Args:
        churn: the total amount of noise, spread over the steps: `gamma = min(churn / steps,
            sqrt(2) - 1)`; 0 gives the deterministic sampler.
        low: no noise is added below this level.
        high: nor above this one.
        inflate: the standard deviation of the new noise, a little above 1 against loss of detail.

    Raises `InputError` for settings out of range, `CapabilityError` unless the process is Gaussian.
    """

    churn: float = 40.0
    low: float = 0.05
    high: float = 50.0
    inflate: float = 1.003

    @property
    def evaluations(self) -> int:
        """Two per step, one in a last step to the data."""
        return 2

    def __post_init__(self) -> None:
        checks.number("churn", self.churn, least=0)
        checks.number("low", self.low, least=0)
        if self.high != math.inf:
            checks.number("high", self.high, least=0)
        checks.number("inflate", self.inflate, least=0)

    def plan(self, process: Any, grid: Sequence[float]) -> list[_Row]:
        """The raised levels and their times, and the weights of Heun's method between."""
        schedule = gaussian_schedule(process, grid, self)
        values = [schedule.at(t) for t in grid]
        levels = [k.sigma / k.alpha for k in values]
        gamma = min(self.churn / (len(grid) - 1), math.sqrt(2) - 1)
        highest = schedule.at(schedule.t_max)
        ceiling = max(levels[0], highest.sigma / highest.alpha)
        raised = [
            min(u * (1 + gamma), ceiling) if self.low <= u <= self.high else u for u in levels[:-1]
        ]
        logs = torch.tensor(raised, dtype=torch.float64).log()
        times = schedule.time_at_log_snr(-2 * logs).tolist()
        times = [
            t if r == u else x for t, u, r, x in zip(grid, levels, raised, times, strict=False)
        ]
        schedule.tabulate(times)
        rows = []
        for k, (u, u_next) in enumerate(pairwise(levels)):
            here, high, then = values[k], schedule.at(times[k]), values[k + 1]
            r = raised[k]
            extra = high.alpha * self.inflate * math.sqrt(max(r**2 - u**2, 0.0))
            # In y = x / alpha: y_next = y + (u_next - r) (y - D) / r, and the mean of both slopes.
            a, h = (u_next - r) / r, u_next - r
            # That step in x: keep the state, gain the prediction.
            ahead = (then.alpha / high.alpha * (1 + a), -then.alpha * a)
            heun = None
            if u_next > 0:
                b = 0.5 * h / u_next
                heun = (
                    then.alpha / high.alpha * (1 + 0.5 * a),
                    -0.5 * a * then.alpha,
                    b,
                    -b * then.alpha,
                )
            rise = high.alpha / here.alpha
            rows.append(_Row(rise, extra or None, times[k], ahead, grid[k + 1], heun))
        return rows

    def step(
        self,
        transport: Transport,
        state: State,
        row: _Row,
        generator: torch.Generator | None = None,
    ) -> State:
        """Noise added, and a Heun step; at the very end, where no noise is left, an Euler step."""
        model, process = transport
        x: Tensor = state.x
        if row.raise_std is not None:
            noise = process.space.randn(x, generator)
            x = combine((row.raise_keep, row.raise_std), (x, noise))
        pred = model(x, row.t)
        ahead = combine(row.ahead, (x, pred))
        if row.heun is None:
            return State(ahead)
        return State(combine(row.heun, (x, pred, ahead, model(ahead, row.s))))
