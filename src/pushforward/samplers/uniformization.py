"""Jumps at the exact times of their reversal, by thinning a clock that is never slower."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch

from pushforward import checks
from pushforward._random import fine_uniform, fork
from pushforward.config import configurable
from pushforward.errors import InputError, SamplingError
from pushforward.protocols import State, Transport
from pushforward.samplers.remasking import check_tokens
from pushforward.samplers.rule import Rule

__all__ = ["Uniformization"]

_PROBES = 5
"""Times in a step at which the bound of the rates is looked up."""


@configurable
@dataclass(frozen=True)
class Uniformization(Rule):
    """The reversal of tokens that jump, or are masked, without an error in time (Chen & Ying 2025).

    In each step of the grid a clock ticks at a rate that bounds that of all jumps; at a tick one
    token jumps, or none, in proportion to the rates there and then, so that what comes out is the
    jump process of the model itself. The grid decides how tight the bounds are, and so the cost,
    not the law. It takes as many evaluations as there are ticks in the row that has most.

    Args:
        margin: by how much the bound at a few times of a step is raised.
        most: evaluations after which it gives up.

    Raises `CapabilityError` for other processes, `InputError` towards the noise, and
    `SamplingError` for a rate above its bound, or too many evaluations: near the data and near the
    noise rates grow without bound, so begin and stop away from both.
    """

    margin: float = 1.1
    most: int = 100_000

    def __post_init__(self) -> None:
        checks.number("margin", self.margin, least=1)
        checks.whole("most", self.most)

    @property
    def evaluations(self) -> int:
        """As many as there are ticks."""
        return 0

    def plan(self, process: Any, grid: Sequence[float]) -> list[tuple[float, float, float]]:
        """The times of each step and the bound for one token."""
        check_tokens(process, self)
        if grid[-1] > grid[0]:
            raise InputError(f"uniformization runs towards the data, not from {grid[0]}")
        return [(t, s, self._bound(process, t, s)) for t, s in pairwise(grid)]

    def _bound(self, process: Any, t: float, s: float) -> float:
        times = [s + (t - s) * k / (_PROBES - 1) for k in range(_PROBES)]
        return self.margin * max(process.rate_bound(time) for time in times)

    def step(
        self,
        transport: Transport,
        state: State,
        row: tuple[float, float, float],
        generator: torch.Generator | None = None,
    ) -> State:
        """All jumps between the times."""
        (model, process), x, (start, stop, bound) = transport, state.x, row
        n, sites = len(x), x[0].numel()
        # Rows take as many ticks as they need.
        generator = fork(generator)
        clock = torch.full((n,), start, dtype=torch.float64)
        for _ in range(self.most):
            # The next tick of each row.
            u = fine_uniform((n, 3), generator, device=x.device).cpu()
            clock = clock + torch.log1p(-u[:, 0]) / (bound * sites)
            live = clock > stop
            if not bool(live.any()):
                return State(x)
            t = clock.clamp_min(stop).to(x.device, torch.get_default_dtype())
            jump = process.dynamics(model(x, t), x, t).restore
            rates = jump.rate.flatten(1).cpu().double()
            total = rates.sum(1)
            worst = float((total * live).max())
            if worst > bound * sites * (1 + 1e-6):
                raise SamplingError(
                    f"a rate of {worst:g} is above its bound {bound * sites:g} between t = "
                    f"{start:g} and {stop:g}: raise margin= (now {self.margin:g}), or take shorter "
                    "steps"
                )
            jumps = live & (u[:, 1] * bound * sites < total)
            new = jump.draw(generator).flatten(1)
            edges = rates.cumsum(1)
            place = torch.searchsorted(edges, u[:, 2:] * edges[:, -1:], right=True)
            which = place.clamp_max(sites - 1).to(x.device)
            flat = x.flatten(1)
            chosen = torch.where(jumps.unsqueeze(1).to(x.device), new, flat).gather(1, which)
            x = flat.scatter(1, which, chosen).view(x.shape)
        raise SamplingError(
            f"more than {self.most} jumps of the clock between t = {start:g} and {stop:g}, where "
            f"rates may reach {bound:g}: stop earlier"
        )
