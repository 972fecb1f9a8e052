"""How many steps are enough: the cheapest grid whose certificate meets a target."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from pushforward import checks, grids, registry
from pushforward._shapes import flatten
from pushforward.certificates.laws import DrawnLaw, KnownLaw, NormalLaw
from pushforward.distributions import GaussianMixture
from pushforward.errors import InputError
from pushforward.processes import Gaussian

__all__ = ["StepBudget", "step_budget"]

_GRIDS = ("log-snr", "quadratic", "uniform")
_PRIOR_SHARE = 0.1
_MOST = 100_000
_PER_UNIT = 12
"""Points of the curve of errors for each unit of the log signal-to-noise ratio."""


@dataclass(frozen=True)
class StepBudget:
    """Where to start, where to stop and how to step, for an exact model with the `ddpm` sampler.

    Args:
        steps: of the sampler, without a final denoising.
        grid: the short name of the grid that needs the fewest.
        start, stop: the first and the last time.
        prior_mismatch: in nats.
        discretization: in nats; with the prior mismatch at most the target.
        early_stopping: `W_2` of the data to those where sampling stops, in units of the process.
        others: the steps that other grids need, by name.

    >>> print(StepBudget(100, "log-snr", 1.0, 0.01, 0.001, 0.05, 0.1, {"uniform": 900}))
    100 steps of ddpm on the grid log-snr from t = 1 to 0.01: 0.051 nats (prior mismatch 0.001, \
discretization 0.05), and W_2 0.1 from the data; uniform 900 steps
    """

    steps: int
    grid: str
    start: float
    stop: float
    prior_mismatch: float
    discretization: float
    early_stopping: float
    others: dict[str, int]

    def __str__(self) -> str:
        others = "".join(f"; {name} {steps} steps" for name, steps in self.others.items())
        nats = self.prior_mismatch + self.discretization
        return (
            f"{self.steps} steps of ddpm on the grid {self.grid} from t = {self.start:.3g} to "
            f"{self.stop:.3g}: {nats:.2g} nats (prior mismatch "
            f"{self.prior_mismatch:.2g}, discretization {self.discretization:.2g}), and W_2 "
            f"{self.early_stopping:.2g} from the data{others}"
        )


def step_budget(
    target: float,
    data: GaussianMixture | Tensor,
    process: Gaussian | None = None,
    *,
    distance: float | None = None,
    seed: int = 0,
) -> StepBudget:
    r"""The start, the stop and the grid with the fewest steps that keep an exact model in budget.

    The prior mismatch `SNR E|x_0|^2 / 2` takes a tenth of the target, and sampling starts as late
    as that allows; the discretization `1/2 sum_k int [mmse(SNR_k) - mmse(r)] dr` has the rest. The
    error of a model comes on top: it is what `certify` measures.

    Args:
        target: the relative entropy that is allowed, in nats.
        data: their law, or draws of it, in units of the process.
        process: one with white noise; `Gaussian()` by default.
        distance: how far from the data sampling may stop, in `W_2`; by default it stops at the end
            of the process.
        seed: of the noise, where the law is not normal.

    Raises `InputError` for a target that the process or 100,000 steps cannot meet.

    >>> from pushforward.schedules import OU
    >>> data = GaussianMixture(torch.zeros(1, 2).double(), 0.25)
    >>> budget = step_budget(0.1, data, Gaussian(OU()), distance=0.2)
    >>> budget.grid, budget.steps, budget.prior_mismatch + budget.discretization <= 0.1
    ('log-snr', 68, True)
    """
    checks.positive("target", target)
    process = process or Gaussian()
    schedule = process.schedule
    law = _law(data)
    second = law.second_moment if isinstance(law, KnownLaw) else _moment(law.points)
    dim = (law.mixture.means if isinstance(law, KnownLaw) else law.points).shape[1]
    first, last = process.interval
    start = _latest_start(process, 2 * _PRIOR_SHARE * target / second, first)
    stop = last if distance is None else _stop(process, second, dim, distance, last)
    if stop >= start:
        raise InputError(
            f"at a distance of {distance} from the data there is nothing left to sample: allow less"
        )
    prior = 0.5 * math.exp(float(schedule.log_snr(start))) * second
    ends = schedule.log_snr_range(start, stop)
    curve = _Curve.of(law, ends, seed)
    found: dict[str, tuple[int, float]] = {}
    for name in _GRIDS:
        place = registry.resolve("grids", name)

        @lru_cache
        def cost(steps: int, place: grids.Grid = place) -> float:
            times = place(schedule, steps, start=start, stop=stop)
            schedule.tabulate(tuple(times))
            return curve.cost([float(schedule.log_snr(t)) for t in times])

        low, high = 0, 1
        while cost(high) > target - prior and high <= _MOST:
            low, high = high, 2 * high
        if high > _MOST:
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if cost(middle) <= target - prior else (middle, high)
        found[name] = high, cost(high)
    if not found:
        raise InputError(f"{target} nats take more than {_MOST} steps: allow more, or stop earlier")
    best = min(found, key=lambda name: found[name][0])
    early = _early(process, second, dim, stop)
    others = {name: steps for name, (steps, _) in found.items() if name != best}
    return StepBudget(found[best][0], best, start, stop, prior, found[best][1], early, others)


class _Curve:
    """The error of the posterior mean over the log signal-to-noise ratio, and its integral."""

    def __init__(self, lam: np.ndarray, mmse: np.ndarray) -> None:
        self.lam, self.mmse = lam, mmse
        rate = 0.5 * mmse * np.exp(lam)
        # Simpson's rule would not help: the curve of draws has noise of its own.
        steps = 0.5 * (rate[1:] + rate[:-1]) * np.diff(lam)
        self.integral = np.concatenate([[0.0], np.cumsum(steps)])

    @classmethod
    def of(cls, law: KnownLaw | DrawnLaw, ends: tuple[float, float], seed: int) -> _Curve:
        """With one noise at all levels, so that the curve is smooth."""
        lam = np.linspace(*ends, 2 + int(_PER_UNIT * (ends[1] - ends[0])))
        if isinstance(law, NormalLaw):
            lam = np.linspace(*ends, 20 * len(lam))
            return cls(lam, np.array([law.mmse(math.exp(v)) for v in lam]))
        z = law.points if isinstance(law, DrawnLaw) else law.mixture.sample(2000, seed=seed)
        noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(seed), dtype=z.dtype)
        values = []
        for v in lam:
            alpha, sigma = (1 / math.sqrt(1 + math.exp(s * v)) for s in (-1, 1))
            values.append(float(law.spread(z, alpha * z + sigma * noise, alpha, sigma).mean()))
        # It falls with the signal, and what noise makes of that costs steps.
        return cls(lam, np.minimum.accumulate(np.array(values)))

    def cost(self, lam: list[float]) -> float:
        """The discretization on a grid."""
        snr, at = np.exp(lam), np.interp(lam, self.lam, self.mmse)
        whole = np.interp([lam[0], lam[-1]], self.lam, self.integral)
        return float(0.5 * np.diff(snr) @ at[:-1] - (whole[1] - whole[0]))


def _law(data: GaussianMixture | Tensor) -> KnownLaw | DrawnLaw:
    if isinstance(data, Tensor):
        return DrawnLaw(flatten(data).double())
    return NormalLaw(data) if len(data.means) == 1 else KnownLaw(data)


def _moment(points: Tensor) -> float:
    return float(points.square().sum(1).mean())


def _latest_start(process: Gaussian, snr: float, first: float) -> float:
    """The time at which the signal has fallen to a ratio."""
    log_snr = math.log(snr)
    if float(process.schedule.log_snr(first)) > log_snr:
        raise InputError(
            f"{process.schedule} leaves a signal-to-noise ratio of "
            f"{math.exp(float(process.schedule.log_snr(first))):.2g} at its end, and the target "
            f"allows {snr:.2g}: take a longer horizon, a larger beta_max or sigma_max"
        )
    return float(process.schedule.time_at_log_snr(torch.tensor([log_snr]).double()))


def _stop(process: Gaussian, second: float, dim: int, distance: float, last: float) -> float:
    """The latest time that is not farther from the data than a distance."""
    checks.positive("distance", distance)
    if (least := _early(process, second, dim, last)) > distance:
        raise InputError(
            f"at its end the process is {least:.3g} from the data, farther than {distance:g}: "
            "allow more, or take a schedule with less noise there"
        )
    low, high = last, 1.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        near = _early(process, second, dim, middle) <= distance
        low, high = (middle, high) if near else (low, middle)
    return low


def _early(process: Gaussian, second: float, dim: int, t: float) -> float:
    """`W_2` of data to noised data, by the coupling of the two."""
    alpha, sigma = (float(v) for v in process.schedule.values(t))
    return math.sqrt((1 - alpha) ** 2 * second + sigma**2 * dim)
