"""Warm-up in windows: a step size and a metric that suit the target, from all chains together.

The step size follows dual averaging of the acceptance rate (Hoffman & Gelman 2014), which starts
anew with each metric. The metric is estimated at the end of each of some windows, each about twice
as long as the one before (Stan), from the states of that window alone: those before it came from
worse metrics, and from farther away.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from pushforward.checks import one_of, whole
from pushforward.mcmc.kernel import MarkovKernel, Move
from pushforward.mcmc.metric import Metric, Moments, Whitened
from pushforward.mcmc.target import ChainState, LogDensity, evaluate, valued

__all__ = ["DualAveraging", "MetricKind", "Warmed", "spent", "started", "warm_up", "windows"]

_LEAST = 1e-3
"""The rate that counts for a chain which accepts nothing."""

MetricKind = Literal["diagonal", "dense", "identity"]


class DualAveraging(NamedTuple):
    """The state of a step size that comes to an acceptance rate (Nesterov 2009).

    Args:
        log_step: the logarithm of the next step size to try.
        average: that of the one to keep in the end.
        error: by how much the acceptance fell short, in the mean.
        center: what steps are drawn to at first.
        steps: how many there were.
    """

    log_step: float
    average: float
    error: float
    center: float
    steps: int

    @classmethod
    def around(cls, step: float) -> DualAveraging:
        """A start at a step size, drawn to ten times as much: long steps cost less to refuse."""
        return cls(math.log(step), math.log(step), 0.0, math.log(10 * step), 0)

    def after(self, acceptance: float, target: float) -> DualAveraging:
        """The state after a step that was accepted so often."""
        count = self.steps + 1
        weight = 1 / (count + 10)
        error = (1 - weight) * self.error + weight * (target - acceptance)
        log_step = self.center - math.sqrt(count) / 0.05 * error
        share = count**-0.75
        average = share * log_step + (1 - share) * self.average
        return DualAveraging(log_step, average, error, self.center, count)


class Warmed(NamedTuple):
    """Chains after warm-up.

    Args:
        x: where they are, `(B, *event)`.
        step: the step size to go on with.
        metric: the coordinates to move in.
        evaluations: of the log-density so far, in the mean per chain.
    """

    x: Tensor
    step: float
    metric: Metric
    evaluations: float


def windows(steps: int) -> list[tuple[int, bool]]:
    """Lengths of the windows of a warm-up, and whether each ends with a new metric.

    As in Stan: 75 steps, windows of 25, 50, 100, ... of which the last takes what is left, and 50
    for the last step size; shorter warm-ups are divided by 15, 75 and 10 %.

    >>> windows(1000)
    [(75, False), (25, True), (50, True), (100, True), (200, True), (500, True), (50, False)]
    >>> windows(100)
    [(15, False), (75, True), (10, False)]
    """
    if steps < 20:
        return [(steps, False)]
    first, last, size = 75, 50, 25
    if first + last + size > steps:
        first, last = int(0.15 * steps), int(0.1 * steps)
        size = steps - first - last
    found, left = [(first, False)], steps - first - last
    while left:
        # A window that leaves too little for one of twice its length takes all.
        own = left if left < 3 * size else size
        found.append((own, True))
        left, size = left - own, 2 * size
    return [*found, (last, False)]


def started(kernel: MarkovKernel, log_p: LogDensity, x: Tensor) -> ChainState:
    """Chains at `x` with what the kernel needs to know there."""
    return evaluate(log_p, x) if getattr(kernel, "uses_gradient", True) else valued(log_p, x)


def spent(kernel: MarkovKernel, move: Move) -> float:
    """Evaluations of the log-density per chain that a move took."""
    if move.evaluations is None:
        return float(kernel.evaluations)
    return float(move.evaluations.double().mean())


def warm_up(
    kernel: MarkovKernel,
    log_p: LogDensity,
    x: Tensor,
    steps: int,
    *,
    metric: MetricKind = "diagonal",
    generator: torch.Generator | None = None,
    callback: Callable[[], None] | None = None,
) -> Warmed:
    """Chains, a step size and a metric, after `steps` steps from `x`, `(B, *event)`.

    Raises `InputError` for a metric of another name.

    >>> from pushforward.mcmc import HMC
    >>> log_p = lambda x: -(x / torch.tensor([1.0, 30.0])).square().sum(-1) / 2
    >>> generator = torch.Generator().manual_seed(0)
    >>> found = warm_up(HMC(), log_p, torch.randn(64, 2, generator=generator), 150,
    ...                 generator=generator)
    >>> 15 < float(found.metric.factor[1] / found.metric.factor[0]) < 60
    True
    """
    one_of("metric", metric, ("diagonal", "dense", "identity"))
    whole("warmup", steps, least=0)
    chosen = Metric(torch.ones_like(x[0].flatten()))
    state, cost, step = started(kernel, Whitened(log_p, chosen), x), 1.0, float(kernel.step)
    for index, (length, ends_in_metric) in enumerate(windows(steps) if steps else []):
        seen = Moments(metric == "dense")
        whitened = Whitened(log_p, chosen)
        if kernel.target is not None:
            step, tried = _first_step(kernel, whitened, state, step, generator)
            cost += tried
        averaging = DualAveraging.around(step)
        for _ in range(length):
            now = step if kernel.target is None else math.exp(averaging.log_step)
            move = kernel.move(whitened, state, torch.tensor(now).to(x), generator)
            state, cost = move.state, cost + spent(kernel, move)
            if kernel.target is not None:
                rate = _typical(move.acceptance, worst=index == 0)
                averaging = averaging.after(rate, kernel.target)
            if ends_in_metric and metric != "identity":
                seen.add(chosen.outward(state.x))
            if callback is not None:
                callback()
        if kernel.target is not None:
            step = math.exp(averaging.average)
        if seen.count:
            at, chosen = chosen.outward(state.x), seen.metric(x[0].flatten())
            state, cost = started(kernel, Whitened(log_p, chosen), chosen.inward(at)), cost + 1
    return Warmed(chosen.outward(state.x), step, chosen, cost)


def _typical(acceptance: Tensor, worst: bool) -> float:
    """The acceptance rate of all chains that the step size follows.

    At first that is the harmonic mean (Hoffman, Radul & Sountsov 2021), which a single chain far
    out that accepts nothing pulls down: else it would be left behind for good.
    """
    if worst:
        acceptance = 1 / acceptance.clamp(min=_LEAST).reciprocal().mean()
    return float(acceptance.mean())


def _first_step(
    kernel: MarkovKernel,
    log_p: LogDensity,
    state: ChainState,
    step: float,
    generator: torch.Generator | None,
) -> tuple[float, float]:
    """A step size near the one at which half of short proposals are accepted, and what it cost.

    It doubles or halves until the mean acceptance of one step crosses a half (Hoffman & Gelman
    2014, algorithm 4).
    """
    probe = getattr(kernel, "probe", kernel)
    cost, way = 0.0, 0
    for _ in range(50):
        move = probe.move(log_p, state, torch.tensor(step).to(state.x), generator)
        cost += probe.evaluations
        direction = 1 if float(move.acceptance.mean()) > 0.5 else -1
        if way and direction != way:
            break
        way = direction
        step *= 2.0**way
    return step, cost
