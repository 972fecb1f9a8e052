r"""Exponential multistep integrators in the log signal-to-noise ratio.

With `lambda = log(alpha / sigma)` and churn `c`, the reverse dynamics of a Gaussian process are
linear up to the prediction `D = E[x_0 | x]` (Lu et al. 2022b; Xue et al. 2023):

    x_s = (sigma_s / sigma_t) e^{-c h} x_t
          + (1 + c) alpha_s int_{-h}^0 e^{(1 + c) u} D du + sigma_s sqrt(1 - e^{-2 c h}) noise,

with `h = lambda_s - lambda_t` and `u = lambda - lambda_s`; in terms of the predicted noise `E`

    x_s = (alpha_s / alpha_t) x_t
          - (1 + c) sigma_s int_{-h}^0 e^{-u} E du + sigma_s sqrt(c (e^{2h} - 1)) noise.

Only the prediction is approximated: by the polynomial through its last values, whose integral
against the exponential is exact.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pushforward import checks
from pushforward._shapes import Weight, accumulate, combine
from pushforward.config import configurable
from pushforward.protocols import State, Transport
from pushforward.samplers.rule import Rule, gaussian_schedule
from pushforward.schedules import Coefficients, Schedule

__all__ = ["Multistep"]

Clock = Literal["log-snr", "time"]
Final = Literal["same", "lower", "lower-if-short"]
Integral = Literal["exact", "midpoint"]
Quantity = Literal["data", "noise"]


class _Row(NamedTuple):
    """One step: `x_t + sum_j correct_j P_j` corrects the last, `x_s = keep x_t + sum_j gains_j P_j
    + std noise` goes on, latest prediction first."""

    t: float
    read: tuple[Weight, Weight] | None
    correct: tuple[Weight, ...]
    keep: Weight
    gains: tuple[Weight, ...]
    std: Weight | None


@configurable
@dataclass(frozen=True)
class Multistep(Rule):
    """Exponential Adams-Bashforth, with an Adams-Moulton corrector if wanted.

    One evaluation per step. The first steps have as many predictions as there are and are corrected
    by the next one; a step to `sigma = 0` takes the last prediction alone, which is exact. In runs
    of fewer than 7 steps, where far extrapolation does harm, nothing is corrected and the order is
    2 at most.

    Args:
        order: predictions per step, 1 to 3, and the order of the probability flow. With churn the
            weak order on normal data is the smaller of this and 2.
        predict: whether the posterior mean (`data`) or the `noise` is a polynomial. `data` is safer
            with few steps and with guidance.
        churn: 0 for the probability flow, 1 for the reverse SDE.
        corrector: correct each step with the next step's prediction, at no extra evaluation: order
            one higher.
        clock: the variable of the polynomial.
        integral: `exact`, or the `midpoint` value of the polynomial times the integral of the rest:
            of order 2 at most, but it extrapolates less, which helps when steps are few and long.
        final: whether the last steps keep the order (`same`) or have a lower one, 2 and then 1
            (`lower`), or only in runs of fewer than 15 steps (`lower-if-short`). A last step of
            order 1 makes the whole of order 2.
        published: step as the authors' code and diffusers do, digit by digit: the first steps are
            corrected with the `corrector` only, and short runs are no exception. Only lines have a
            midpoint, in the corrector too, and parabolas are integrated exactly.

    Members of the family under their published names: DDIM is order 1, and the exponential
    integrator of the reverse SDE order 1 with churn; DPM-Solver++(2M) and its SDE form are `data`
    of order 2 by the midpoint (Lu et al. 2022b); DEIS (Zhang & Chen 2023) is `noise`, `rho-AB` in
    the clock `log-snr` and `tAB` in the clock `time`; UniPC (Zhao et al. 2023) is `data` by the
    midpoint with the corrector and a lower order at the end; all of them `published`. SA-Solver
    (Xue et al. 2023) is the corrector with churn.

    Raises `InputError` for settings out of range, `CapabilityError` unless the process is Gaussian.

    >>> from pushforward import processes, schedules
    >>> process = processes.Gaussian(schedules.Rectified())
    >>> row = Multistep(order=1).plan(process, [0.5, 0.25])[0]
    >>> row.keep, [round(w, 12) for w in row.gains]
    (0.5, [0.5])
    """

    order: int = 2
    predict: Quantity = "data"
    churn: float = 0.0
    corrector: bool = False
    clock: Clock = "log-snr"
    integral: Integral = "exact"
    final: Final = "same"
    published: bool = False

    def __post_init__(self) -> None:
        checks.one_of("order", self.order, (1, 2, 3))
        checks.one_of("predict", self.predict, ("data", "noise"))
        checks.number("churn", self.churn, least=0)
        checks.flag("corrector", self.corrector)
        checks.one_of("clock", self.clock, ("log-snr", "time"))
        checks.one_of("integral", self.integral, ("exact", "midpoint"))
        checks.one_of("final", self.final, ("same", "lower", "lower-if-short"))
        checks.flag("published", self.published)

    def plan(self, process: object, grid: Sequence[float]) -> list[_Row]:
        """The weights of each step, by quadrature in double precision."""
        schedule = gaussian_schedule(process, grid, self)
        try:
            return list(_plan(self, schedule, tuple(grid)))
        except TypeError:
            # A schedule of the user's own may not be hashable, and then nothing is remembered.
            return list(_plan.__wrapped__(self, schedule, tuple(grid)))

    def init(self, x: Tensor) -> State:
        """The state, and no prediction remembered yet."""
        return State(x, ())

    def step(
        self,
        transport: Transport,
        state: State,
        row: _Row,
        generator: torch.Generator | None = None,
    ) -> State:
        """One step from the predictions at `t` and before."""
        x: Tensor = state.x
        latest = transport.model(x, row.t)
        if row.read is not None:
            latest = combine(row.read, (x, latest))
        predictions = (latest, *state.memory)
        if row.correct:
            x = accumulate(x, row.correct, predictions[: len(row.correct)])
        predictions = predictions[: self.order]
        end = combine((row.keep, *row.gains), (x, *predictions[: len(row.gains)]))
        if row.std is not None:
            end = accumulate(end, (row.std,), (transport.process.space.randn(x, generator),))
        return State(end, predictions)


_SHORT = 7
"""Runs of fewer steps extrapolate less, unless they are to be as published."""

_FINAL_SHORT = 15
"""Runs of fewer steps are short to diffusers, and end with lower orders."""


def _orders(rule: Multistep, steps: int) -> list[int]:
    """How many predictions each step takes."""
    most = rule.order if rule.published or steps >= _SHORT else min(rule.order, 2)
    lower = rule.final == "lower" or (rule.final == "lower-if-short" and steps < _FINAL_SHORT)
    # Before the first step of order two there is one prediction, and so on.
    return [min(most, k + 1, steps - k if lower else most) for k in range(steps)]


@lru_cache(maxsize=64)
def _plan(rule: Multistep, schedule: Schedule, grid: tuple[float, ...]) -> tuple[_Row, ...]:
    steps, middle = len(grid) - 1, rule.integral == "midpoint"
    orders, stretches = _orders(rule, steps), _stretches(rule, schedule, grid)
    rows: list[_Row] = []
    correct: tuple[Weight, ...] = ()
    for k, (t, s) in enumerate(pairwise(grid)):
        now, then = schedule.at(t), schedule.at(s)
        past = grid[k + 1 - orders[k] : k + 1][::-1]
        end = then.sigma == 0.0
        keep: Weight
        gains: tuple[Weight, ...]
        if end:
            keep, std, gains = 0.0, None, (1.0,)
            if rule.predict == "noise":
                keep, gains = 1 / now.alpha, (-now.sigma / now.alpha,)
        else:
            here = stretches[k]
            keep, std = _linear(rule, now, then, here.last - here.first)
            lines = len(past) <= 2 or not rule.published
            gains = _gains(rule, schedule, here, past, middle and lines)
        read = None
        if rule.predict == "noise":
            read = (1 / now.sigma, -now.alpha / now.sigma)
        rows.append(_Row(t, read, correct, keep, gains, std))
        correct = ()
        if _corrects(rule, k, steps) and not end:
            line = rule.published and len(past) == 1
            latest, *others = _gains(rule, schedule, here, (s, *past), middle and line)
            # What the step has taken already is taken back.
            correct = (latest, *(b - a for a, b in zip(gains, others, strict=True)))
    return tuple(rows)


def _corrects(rule: Multistep, k: int, steps: int) -> bool:
    """Whether step `k` is corrected by the prediction at its end."""
    if rule.published:
        return rule.corrector
    # The first steps are of low order; without correction they would spoil that of the whole.
    return steps >= _SHORT and (rule.corrector or k + 1 < rule.order)


def _linear(
    rule: Multistep, now: Coefficients, then: Coefficients, h: float
) -> tuple[Weight, Weight | None]:
    """What is left of the state after a step, and the noise that enters."""
    c = rule.churn
    if rule.predict == "data":
        keep = then.sigma / now.sigma * math.exp(-c * h)
        variance = then.sigma**2 * -math.expm1(-2 * c * h)
    else:
        keep = then.alpha / now.alpha
        variance = then.sigma**2 * c * math.expm1(2 * h)
    return keep, math.sqrt(variance) if c else None


class _Stretch(NamedTuple):
    """A step from `t` to `s`: its ends in `lambda`, quadrature between them, the clock there."""

    t: float
    s: float
    first: float
    last: float
    lam: np.ndarray
    du: np.ndarray
    clock: np.ndarray


def _stretches(rule: Multistep, schedule: Schedule, grid: Sequence[float]) -> list[_Stretch]:
    """Every step of a grid that has noise at its end."""
    ends = [t for t in grid if schedule.at(t).sigma > 0]
    places = [_half_log_snr(schedule, t) for t in ends]
    # In lambda, whatever the clock: there the weight is smooth even where the rate of noise jumps.
    nodes = [
        _quadrature(np.linspace(a, b, 1 + max(1, math.ceil(abs(b - a) / _LONGEST))))
        for a, b in pairwise(places)
    ]
    clocks = [lam for lam, _ in nodes]
    if rule.clock == "time" and clocks:
        # All at once: finding times takes as long for one as for all.
        at = schedule.time_at_log_snr(torch.from_numpy(2 * np.concatenate(clocks))).numpy()
        clocks = np.split(at, np.cumsum([len(lam) for lam in clocks])[:-1])
    return [
        _Stretch(*times, *levels, *quadrature, clock)
        for times, levels, quadrature, clock in zip(
            pairwise(ends), pairwise(places), nodes, clocks, strict=True
        )
    ]


def _gains(
    rule: Multistep,
    schedule: Schedule,
    step: _Stretch,
    nodes: tuple[float, ...],
    middle: bool = False,
) -> tuple[float, ...]:
    """The weight of the prediction at each node in a step.

    In the `middle`, the polynomial is taken for constant at its value half way along the clock.
    """
    t, s, first, last, lam, du, clock = step
    alpha, sigma = schedule.values(s)
    if rule.predict == "data":
        weight = (1 + rule.churn) * alpha * np.exp((1 + rule.churn) * (lam - last)) * du
    else:
        weight = -(1 + rule.churn) * sigma * np.exp(last - lam) * du
    timed = rule.clock == "time"
    places = list(nodes) if timed else [_half_log_snr(schedule, node) for node in nodes]
    if middle:
        clock = np.full_like(lam, ((t + s) if timed else (first + last)) / 2)
    return tuple(float(weight @ _basis(j, places, clock)) for j in range(len(places)))


def _half_log_snr(schedule: Schedule, t: float) -> float:
    """`lambda = log(alpha / sigma)`."""
    return 0.5 * float(schedule.log_snr(t))


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)
_LONGEST = 2.0
"""Steps longer than this in `lambda` are integrated in pieces."""


def _quadrature(edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes and weights on each piece between the edges."""
    half = np.diff(edges)[:, None] / 2
    middle = (edges[:-1] + edges[1:])[:, None] / 2
    return (middle + half * _NODES).ravel(), (half * _WEIGHTS).ravel()


def _basis(j: int, places: Sequence[float], u: np.ndarray) -> np.ndarray:
    """The Lagrange polynomial that is one at place `j` and zero at the others."""
    value = np.ones_like(u)
    for i, place in enumerate(places):
        if i != j:
            value = value * (u - place) / (places[j] - place)
    return value
