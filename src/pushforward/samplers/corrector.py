r"""Langevin moves that leave the distribution at a time invariant: correctors, annealed Langevin.

A move `x + step score + sqrt(2 step) noise` has `p_t` as its distribution up to the order of the
step. The step is measured against the noise of the state (Song et al. 2021, algorithms 4 and 5):
with `step = 2 snr^2 sigma_t^2` the ratio of the score's part of a move to its noise is `snr`, since
the score of a noisy distribution has the norm `sqrt(d) / sigma_t`. Their norms of the score,
averaged over the batch, would let the other rows of a batch change a sample's distribution; here
nothing does.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pushforward import checks
from pushforward._shapes import Weight, combine
from pushforward.config import configurable
from pushforward.errors import ConvergenceWarning, InputError
from pushforward.protocols import Sampler, State, Transport
from pushforward.samplers.euler import Euler
from pushforward.samplers.rule import Rule, gaussian_schedule
from pushforward.schedules import Schedule
from pushforward.spaces import Manifold

__all__ = ["AnnealedLangevin", "PredictorCorrector"]


_FAR = 1.25
"""The factor by which the standard deviation of normal data may be off."""


class _Turn(NamedTuple):
    """A Langevin move on a manifold at `t`: along `step score + sqrt(2 step) noise`."""

    t: float
    step: float


class _Move(NamedTuple):
    """A Langevin move at `t`: `keep x + gain E[x_0 | x] + std noise`."""

    t: float
    keep: Weight
    gain: Weight
    std: Weight


def _move(schedule: Schedule, t: float, snr: float) -> _Move | None:
    """The move at `t`, or none where there is no noise and so no score."""
    alpha, sigma = schedule.values(t)
    if sigma == 0.0:
        return None
    # step * score = 2 snr^2 (alpha D - x).
    pull = 2 * snr**2
    return _Move(t, 1 - pull, pull * alpha, 2 * snr * sigma)


def _turn(schedule: Schedule, t: float, snr: float) -> _Turn | None:
    """The move at `t`, or none where there is no noise and so no score."""
    _, sigma = schedule.values(t)
    return None if sigma == 0.0 else _Turn(t, 2 * (snr * float(sigma)) ** 2)


def _moved(
    transport: Transport,
    x: Tensor,
    row: _Move | _Turn | None,
    moves: int,
    generator: torch.Generator | None,
) -> Tensor:
    if row is None:
        return x
    space = transport.process.space
    for _ in range(moves):
        noise = space.randn(x, generator)
        if isinstance(row, _Turn):
            score = transport.dynamics(x, row.t).score
            x = space.exp(x, row.step * score + math.sqrt(2 * row.step) * noise)
            continue
        x = combine(row[1:], (x, transport.model(x, row.t), noise))
    return x


def _check(snr: float, moves: int) -> None:
    # Beyond 2 snr^2 = 2 a move would overshoot even a normal distribution, and diverge.
    if not checks.positive("snr", snr) < 1:
        raise InputError(f"snr lies in (0, 1), not {snr}")
    checks.whole("moves", moves)


@configurable
@dataclass(frozen=True)
class PredictorCorrector(Rule):
    """A step of another sampler, then Langevin moves at the new time (Song et al. 2021).

    Args:
        predictor: any sampler; the reverse SDE by default.
        snr: the signal-to-noise ratio of a move, see above. The stationary distribution of the
            moves has up to `1 / (1 - snr^2)` times the right variance.
        moves: Langevin moves per step.

    On a manifold moves follow geodesics, and `sigma_t^2` is the variance of Brownian motion.

    Raises `InputError` for settings out of range, `CapabilityError` unless the process is Gaussian
    or Brownian motion on a manifold.
    """

    predictor: Sampler = field(default_factory=lambda: Euler(churn=1.0))
    snr: float = 0.16
    moves: int = 1

    def __post_init__(self) -> None:
        _check(self.snr, self.moves)

    @property
    def evaluations(self) -> int:
        """Those of the predictor, and one per move."""
        return self.predictor.evaluations + self.moves

    def plan(self, process: Any, grid: Sequence[float]) -> list[tuple[Any, _Move | _Turn | None]]:
        """The predictor's rows, each with the move at its end."""
        moves: list[_Move | _Turn | None]
        if isinstance(process.space, Manifold) and not process.paired:
            moves = [_turn(process.clock, s, self.snr) for s in grid[1:]]
        else:
            schedule = gaussian_schedule(process, grid, "a Langevin corrector")
            moves = [_move(schedule, s, self.snr) for s in grid[1:]]
        return list(zip(self.predictor.plan(process, grid), moves, strict=True))

    def init(self, x: Tensor) -> State:
        """The predictor's state."""
        return self.predictor.init(x)

    def step(
        self,
        transport: Transport,
        state: State,
        row: tuple[Any, _Move | None],
        generator: torch.Generator | None = None,
    ) -> State:
        """The predictor's step, corrected."""
        ahead, move = row
        state = self.predictor.step(transport, state, ahead, generator)
        return State(_moved(transport, state.x, move, self.moves, generator), state.memory)


@configurable
@dataclass(frozen=True)
class AnnealedLangevin(Rule):
    """Langevin moves alone, at lower and lower noise (Song & Ermon 2019).

    The state follows each distribution to the next by its scale `alpha` only; the moves do the
    rest. It needs many moves, and is here for teaching and comparison. Warns where they are too
    few: where normal data of unit variance would come out with a standard deviation that is a
    quarter off, which is known in closed form.

    Args:
        snr: the signal-to-noise ratio of a move, see `PredictorCorrector`.
        moves: Langevin moves per noise level.

    Raises `InputError` for settings out of range, `CapabilityError` unless the process is Gaussian.
    """

    snr: float = 0.16
    moves: int = 5

    def __post_init__(self) -> None:
        _check(self.snr, self.moves)

    @property
    def evaluations(self) -> int:
        """One per move."""
        return self.moves

    def plan(self, process: Any, grid: Sequence[float]) -> list[tuple[Weight, _Move | None]]:
        """The change of scale to each level, and the move there."""
        schedule = gaussian_schedule(process, grid, self)
        alphas = [schedule.at(t).alpha for t in grid]
        rows = [
            (b / a, _move(schedule, s, self.snr))
            for (a, b), s in zip(pairwise(alphas), grid[1:], strict=True)
        ]
        ratio = self._spread(schedule, grid)
        if not 1 / _FAR < ratio < _FAR:
            warnings.warn(
                f"{len(grid) - 1} levels with {self.moves} Langevin moves each are too few: normal "
                f"data would come out with {ratio:.3g} times their standard deviation; take more "
                "steps, or more moves",
                ConvergenceWarning,
                stacklevel=3,
            )
        return rows

    def _spread(self, schedule: Schedule, grid: Sequence[float]) -> float:
        """The standard deviation in which `N(0, 1)` comes out, over the right one.

        The posterior mean is `alpha x / (alpha^2 + sigma^2)` then, and moves keep states normal.
        """
        before, sigma = schedule.values(grid[0])
        variance = exact = before**2 + sigma**2
        for t in grid[1:]:
            alpha, sigma = schedule.values(t)
            variance *= (alpha / before) ** 2 if before else 1.0
            before, exact = alpha, alpha**2 + sigma**2
            if sigma == 0.0:
                continue
            pull = 2 * self.snr**2
            factor = (1 - pull + pull * alpha**2 / exact) ** 2
            for _ in range(self.moves):
                variance = factor * variance + (2 * self.snr * sigma) ** 2
        return math.sqrt(variance / exact)

    def step(
        self,
        transport: Transport,
        state: State,
        row: tuple[Weight, _Move | None],
        generator: torch.Generator | None = None,
    ) -> State:
        """The moves at the next level."""
        scale, move = row
        return State(_moved(transport, state.x * scale, move, self.moves, generator))
