"""Sampling grids: the times at which a sampler stops, from the prior to the data.

A grid owns its end points: it runs from `start` (default: the clock's `t_max`) to `stop`
(default: its `t_min`), both included, as Python floats. `stop` is the early stopping time of the
theory: a sampler on the grid ends with a sample of `p_stop`.

The clock is the `Schedule` of any process. Grids that are placed by the log signal-to-noise ratio
raise `CapabilityError` for a clock that has none.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from pushforward import checks, registry
from pushforward._beta import beta_quantile
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.schedules import Schedule, shift_time

__all__ = [
    "BetaGrid",
    "FittedGrid",
    "Grid",
    "KarrasGrid",
    "LogSNRGrid",
    "QuadraticGrid",
    "ShiftedGrid",
    "SineGrid",
    "UniformGrid",
    "check",
]


class Grid(ABC):
    """A rule that places `steps + 1` times on the interval of a clock."""

    def __call__(
        self,
        clock: Schedule,
        steps: int,
        *,
        start: float | None = None,
        stop: float | None = None,
    ) -> list[float]:
        """The `steps + 1` decreasing times.

        Raises `InputError` unless `steps >= 1` and `0 <= stop < start <= 1`, `CapabilityError` for
        a clock that the rule does not fit.

        >>> from pushforward.schedules import Rectified
        >>> UniformGrid()(Rectified(), 4, start=1.0, stop=0.0)
        [1.0, 0.75, 0.5, 0.25, 0.0]
        """
        start = clock.t_max if start is None else start
        stop = clock.t_min if stop is None else stop
        steps = checks.whole("steps", steps)
        if not 0 <= stop < start <= 1:
            raise InputError(
                f"a grid runs from start to stop in [0, 1], not from {start} to {stop}"
            )
        try:
            return list(_placed(self, clock, steps, start, stop))
        except TypeError:
            # A clock of the user's own may not be hashable, and then nothing is remembered.
            return list(_placed.__wrapped__(self, clock, steps, start, stop))

    @abstractmethod
    def place(self, u: Tensor, clock: Schedule, start: float, stop: float) -> Tensor:
        """Times for the fractions `u` of the way, 0 at `start` and 1 at `stop`."""


@lru_cache(maxsize=64)
def _placed(
    rule: Grid, clock: Schedule, steps: int, start: float, stop: float
) -> tuple[float, ...]:
    """The times of a grid, remembered: placing them costs more than a step of a small network."""
    fractions = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    times = rule.place(fractions, clock, start, stop).tolist()
    # The rule may round; the end points are exact.
    times[0], times[-1] = start, stop
    return tuple(check(times))


@configurable
@dataclass(frozen=True)
class UniformGrid(Grid):
    """Equal steps in time."""

    def place(self, u: Tensor, clock: Schedule, start: float, stop: float) -> Tensor:
        return start + (stop - start) * u


@configurable
@dataclass(frozen=True)
class LogSNRGrid(Grid):
    r"""Equal steps in the log signal-to-noise ratio (Lu et al. 2022a), the natural clock of
    exponential integrators.

    The levels `sigma / alpha` form a geometric sequence: the exponential sigmas of k-diffusion, and
    the limit of `KarrasGrid(rho)` as `rho` grows.

    >>> from pushforward.schedules import VP
    >>> grid = LogSNRGrid()(VP(), 3)
    >>> [round(VP().log_snr(t), 3) for t in grid]
    [-10.05, -3.661, 2.727, 9.115]
    """

    def place(self, u: Tensor, clock: Schedule, start: float, stop: float) -> Tensor:
        first, last = clock.log_snr_range(start, stop)
        return clock.time_at_log_snr(first + (last - first) * u)


@configurable
@dataclass(frozen=True)
class KarrasGrid(Grid):
    r"""Equal steps in `(sigma / alpha)^{1 / rho}` (Karras et al. 2022, eq. 5): more of them where
    the noise is small.

    >>> from pushforward.schedules import VP
    >>> [round(t, 3) for t in KarrasGrid()(VP(), 4)]
    [1.0, 0.843, 0.592, 0.143, 0.001]
    """

    rho: float = 7.0

    def __post_init__(self) -> None:
        if self.rho == math.inf:
            raise InputError("rho is finite: LogSNRGrid is its limit, the exponential sigmas")
        checks.positive("rho", self.rho)

    def place(self, u: Tensor, clock: Schedule, start: float, stop: float) -> Tensor:
        first, last = (
            math.exp(-0.5 * value / self.rho) for value in clock.log_snr_range(start, stop)
        )
        root = first + (last - first) * u
        return clock.time_at_log_snr(-2 * self.rho * root.log())


@configurable
@dataclass(frozen=True)
class QuadraticGrid(Grid):
    """Equal steps in the square root of time (Song, Meng & Ermon 2021): finer towards the data.

    >>> from pushforward.schedules import VP
    >>> [round(t, 3) for t in QuadraticGrid()(VP(), 2, start=1.0, stop=0.0)]
    [1.0, 0.25, 0.0]
    """

    def place(self, u: Tensor, clock: Schedule, start: float, stop: float) -> Tensor:
        return (math.sqrt(start) + (math.sqrt(stop) - math.sqrt(start)) * u).square()


@configurable
@dataclass(frozen=True)
class BetaGrid(Grid):
    r"""Times at equal steps of the distribution function of Beta(alpha, beta) (Lee et al. 2024).

    Below one, both numbers put more steps near the two ends, where images get their outlines and
    their details. On the `Rectified` clock, times are the noise levels that diffusers places so.

    >>> from pushforward.schedules import Rectified
    >>> [round(t, 3) for t in BetaGrid()(Rectified(), 4, start=1.0, stop=0.0)]
    [1.0, 0.824, 0.5, 0.176, 0.0]
    """

    alpha: float = 0.6
    beta: float = 0.6

    def __post_init__(self) -> None:
        checks.positive("alpha", self.alpha)
        checks.positive("beta", self.beta)

    def place(self, u: Tensor, clock: Schedule, start: float, stop: float) -> Tensor:
        return stop + (start - stop) * beta_quantile(1 - u, self.alpha, self.beta)


@configurable
@dataclass(frozen=True)
class ShiftedGrid(Grid):
    r"""Another grid under the timestep shift `t -> shift t / (1 + (shift - 1) t)` (Esser et al.
    2024): more of the steps where there is much noise, for large images.

    Args:
        shift: how much: 3 for Stable Diffusion 3, `exp(mu)` in the words of Flux; 1 changes
            nothing.
        grid: what is shifted, a grid or its short name.

    >>> from pushforward.schedules import Rectified
    >>> [round(t, 3) for t in ShiftedGrid(3.0)(Rectified(), 4, start=1.0, stop=0.0)]
    [1.0, 0.9, 0.75, 0.5, 0.0]
    """

    shift: float = 3.0
    grid: Grid | str = "uniform"

    def __post_init__(self) -> None:
        checks.positive("shift", self.shift)
        object.__setattr__(self, "grid", registry.resolve("grids", self.grid))

    def place(self, u: Tensor, clock: Schedule, start: float, stop: float) -> Tensor:
        # The ends are those of the shifted grid.
        ends = shift_time(start, 1 / self.shift), shift_time(stop, 1 / self.shift)
        assert isinstance(self.grid, Grid)
        return shift_time(self.grid.place(u, clock, *ends), self.shift)


@configurable
@dataclass(frozen=True)
class FittedGrid(Grid):
    """Steps along a curve in the log signal-to-noise ratio: what `samplers.fit_grid` returns.

    Args:
        log_snrs: increasing values of the log signal-to-noise ratio, the knots of the curve.
        fractions: the fraction of the steps that is done at each, from 0 to 1.

    Raises `InputError` unless both increase and have the same length.

    >>> from pushforward.schedules import Rectified
    >>> half = FittedGrid((-4.0, 0.0, 4.0), (0.0, 0.5, 1.0))
    >>> [round(t, 3) for t in half(Rectified(), 2, start=0.9, stop=0.1)]
    [0.9, 0.5, 0.1]
    """

    log_snrs: tuple[float, ...]
    fractions: tuple[float, ...]

    def __post_init__(self) -> None:
        for name in ("log_snrs", "fractions"):
            values = tuple(float(value) for value in getattr(self, name))
            object.__setattr__(self, name, values)
            if len(values) < 2 or any(not b > a for a, b in pairwise(values)):
                raise InputError(f"{name} must increase, at least two of them, not {values}")
        if len(self.log_snrs) != len(self.fractions):
            raise InputError(
                f"a curve has as many fractions as knots, not {len(self.fractions)} and "
                f"{len(self.log_snrs)}"
            )

    def place(self, u: Tensor, clock: Schedule, start: float, stop: float) -> Tensor:
        first, last = clock.log_snr_range(start, stop)
        # Beyond its ends the curve goes straight on.
        knots = [min(first, self.log_snrs[0] - 1e-9), *self.log_snrs]
        knots.append(max(last, self.log_snrs[-1] + 1e-9))
        low = self.fractions[0] - (self.log_snrs[0] - knots[0]) / len(knots)
        high = self.fractions[-1] + (knots[-1] - self.log_snrs[-1]) / len(knots)
        done = [low, *self.fractions, high]
        begin, end = np.interp([first, last], knots, done)
        places = np.interp(begin + (end - begin) * u.numpy(), done, knots)
        return clock.time_at_log_snr(torch.from_numpy(places))


def check(times: Sequence[float]) -> list[float]:
    """The times of a grid as floats in [0, 1], strictly monotone in either direction.

    Raises `InputError` naming the first offending pair.

    >>> check([0.2, 0.2])
    Traceback (most recent call last):
    ...
    pushforward.errors.InputError: a grid must be strictly monotone, but 0.2 is followed by 0.2
    """
    grid = [float(t) for t in times]
    if len(grid) < 2:
        raise InputError(f"a grid needs at least two times, not {grid}")
    for t in grid:
        if not 0.0 <= t <= 1.0:
            raise InputError(f"grid time {t} lies outside [0, 1]: 0 is data, 1 is the prior")
    sign = 1.0 if grid[1] > grid[0] else -1.0
    for t, s in pairwise(grid):
        if not sign * (s - t) > 0:
            raise InputError(f"a grid must be strictly monotone, but {t} is followed by {s}")
    return grid


@configurable
@dataclass(frozen=True)
class SineGrid(Grid):
    r"""Equal steps of the angle whose sine is the noise of a bridge: finer towards both ends.

    `t_k = stop + (start - stop) cos^2(pi k / (2 K))`, so that `sqrt(t (1 - t))` moves evenly.

    >>> from pushforward.schedules import Rectified
    >>> [round(t, 3) for t in SineGrid()(Rectified(), 4, start=1.0, stop=0.0)]
    [1.0, 0.854, 0.5, 0.146, 0.0]
    """

    def place(self, u: Tensor, clock: Schedule, start: float, stop: float) -> Tensor:
        return stop + (start - stop) * torch.cos(0.5 * math.pi * u).square()
