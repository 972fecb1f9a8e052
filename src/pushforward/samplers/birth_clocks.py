"""Births at the exact times of the reversal, one at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from pushforward import checks
from pushforward._random import fine_uniform, fork
from pushforward._roots import increasing_root
from pushforward.config import configurable
from pushforward.errors import CapabilityError, InputError, SamplingError
from pushforward.protocols import Births, State, Transport, follows
from pushforward.samplers.rule import Rule

__all__ = ["BirthClocks"]


@configurable
@dataclass(frozen=True)
class BirthClocks(Rule):
    r"""The births of point sets without an error in time, by a clock that is never too slow.

    With `e` empty slots the expected number `m` of missing points is at most `e`, so that births
    come no faster than `e` times the hazard `-alpha' / (1 - alpha)`. A clock of that rate ticks at
    the times where `log (1 - alpha)` has fallen by `1/e` times an exponential draw, the exact
    inverse of its cumulative rate; at a tick the model is asked, and one point is born with the
    chance `m / e` (Lewis & Shedler 1979). So none of several births of a step is lost, and each
    newborn sees those before it. Between ticks and times of the grid present points move by the
    pinned kernel, whose error the grid decides; `Thinning` has none.

    Each set has a clock of its own: it takes as many evaluations as there are ticks and times in
    the row that has most, some `e` times seven. A step to time 0 draws what is left at once.

    Args:
        most: evaluations of a step after which it gives up.

    Raises `CapabilityError` for other processes, `InputError` towards the noise, `SamplingError`
    for too many evaluations.

    >>> from pushforward import analytic, processes, samplers
    >>> world, process = analytic.AnalyticCounts.example(), processes.Thinning()
    >>> transport = Transport(world.thinning_model(process), process)
    >>> empty = process.prior((6, 1)).sample(500)
    >>> x = samplers.run(BirthClocks(), transport, empty, [1.0, 0.001, 0.0], seed=0)
    >>> x.number.unique().tolist()
    [1, 3, 6]
    """

    most: int = 10_000

    def __post_init__(self) -> None:
        checks.whole("most", self.most)

    @property
    def evaluations(self) -> int:
        """As many as there are ticks."""
        return 0

    def plan(self, process: Any, grid: Sequence[float]) -> list[tuple[float, float]]:
        """The two times of each step."""
        if not follows(process, Births):
            raise CapabilityError(
                f"{type(process).__name__} has no births: Thinning and JumpDiffusion have"
            )
        if grid[-1] > grid[0]:
            raise InputError(f"births run towards the data, not from {grid[0]}")
        return list(pairwise(grid))

    def step(
        self,
        transport: Transport,
        state: State,
        row: tuple[float, float],
        generator: torch.Generator | None = None,
    ) -> State:
        """All births between the times."""
        (model, process), x, (start, stop) = transport, state.x, row
        if stop == 0.0:
            return State(process.finish(model(x, start), x, start, generator))
        # Rows take as many ticks as they need.
        generator = fork(generator)
        n, kind = len(x.mask), x.x.dtype
        now = torch.full((n,), start, dtype=torch.float64)
        pred = model(x, now.to(x.mask.device, kind))
        for _ in range(self.most):
            u = fine_uniform((n, 3), generator, device=x.mask.device)
            empty = (~x.mask).sum(-1).cpu()
            then = _tick(process, now, stop, empty, u[:, 0].cpu())
            times = [t.to(x.mask.device, kind) for t in (now, then)]
            x = process.carried(pred, x, *times, generator)
            ticks = (then > stop).to(x.mask.device)
            if not bool(ticks.any()):
                return State(x)
            pred = model(x, times[1])
            arriving = process.arriving(pred, x, times[1])
            chance = arriving.number / empty.clamp_min(1).to(arriving.number)
            born = ticks & (u[:, 1].to(chance) < chance)
            x = process.filled_one(arriving, x, born, u[:, 2], generator)
            now = then
        raise SamplingError(
            f"more than {self.most} ticks of a clock between t = {start:g} and {stop:g}: stop "
            "earlier, or raise most="
        )


def _tick(process: Any, now: Tensor, stop: float, empty: Tensor, u: Tensor) -> Tensor:
    """The next times of clocks, `stop` for those that do not tick before it, `(B,)`."""
    schedule = process.clock_of_births

    def log_lost(t: Tensor) -> Tensor:
        return torch.log1p(-schedule.values(t)[0].clamp(max=1 - 1e-15))

    wanted = log_lost(now) + torch.log1p(-u.double()) / empty.clamp_min(1)
    end = torch.full_like(now, stop)
    late = (empty == 0) | (wanted <= log_lost(end)) | (now <= stop)
    wanted = torch.where(late, log_lost(now), wanted)
    found = increasing_root(lambda t: log_lost(t) - wanted, end, now)
    return torch.where(late, end, found.clamp_min(stop + math.ulp(stop)))
