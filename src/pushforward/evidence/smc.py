r"""Tempered sequential Monte Carlo: from a known law to the target, with `log Z` on the way.

Weights grow by `w (p_1 / p_0)^d` for a step `d` of the inverse temperature, and `Z` by the factor

    sum_i W_i (p_1(x_i) / p_0(x_i))^d

with the *carried*, normalized weights `W` of before (del Moral et al. 2006): they are equal only
after resampling. The step is as large as the effective sample size of the new weights, carried ones
included, allows. A ladder that is chosen by the particles themselves biases `Z`, if little; run
again with the ladder, the step sizes and the metrics of a pilot, the estimate is unbiased.

After resampling, each of fewer particles makes a chain, and all of its states go on: no move is
wasted (Dau & Chopin 2022).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward.checks import number, whole
from pushforward.errors import ConvergenceError, InputError
from pushforward.importance import pareto_shape
from pushforward.mcmc import (
    HMC,
    LogDensity,
    MarkovKernel,
    Metric,
    Whitened,
    evaluate,
    systematic_resampling,
)
from pushforward.protocols import Distribution

__all__ = ["Ladder", "Rung", "TemperedRuns", "effective_size", "next_beta", "temper"]

_LOST = 0.5
"""The share of equal weights below which an island is resampled."""

_MOST = 100
"""Temperatures, after which a ladder leads nowhere."""

_DENSE = 10
"""Particles for each number of a state, from which a dense metric is known well enough."""


class Rung(NamedTuple):
    """What a temperature needs to be visited again.

    Args:
        beta: the inverse temperature.
        step: the step size of its moves.
        metric: the coordinates of its moves.
    """

    beta: float
    step: float
    metric: Metric


Ladder = tuple[Rung, ...]
"""The temperatures after the first, the last of which is one."""


@dataclass(frozen=True)
class TemperedRuns:
    """Independent runs, islands, in one batch.

    Args:
        log_z: of each island, `(R,)`.
        x: the particles at the end, `(R, N, *event)`.
        log_weights: the logarithms of their normalized weights, `(R, N)`.
        ladder: the temperatures, with what the moves there need.
        ess: the mean effective sample size of the islands at each temperature, `(K,)`.
        acceptance: the mean acceptance of the moves at each temperature, `(K,)`.
        evaluations: of the log-density, of all particles together.
        k_hat: the shape of the tail of the weights at each temperature, of all islands together
            (`importance.pareto_shape`).
    """

    log_z: Tensor
    x: Tensor
    log_weights: Tensor
    ladder: Ladder
    ess: Tensor
    acceptance: Tensor
    evaluations: int
    k_hat: Tensor


def effective_size(log_weights: Tensor) -> Tensor:
    """`(sum w)^2 / sum w^2` over the last axis, for any normalization.

    >>> effective_size(torch.zeros(2, 8)).tolist()
    [8.0, 8.0]
    """
    return (2 * log_weights.logsumexp(-1) - (2 * log_weights).logsumexp(-1)).exp()


def next_beta(log_weights: Tensor, difference: Tensor, beta: float, keep: float) -> float:
    """The inverse temperature at which a share `keep` of the effective sample size is left.

    Args:
        log_weights: the carried ones, `(R, N)`.
        difference: `log p_1 - log p_0`, `(R, N)`.
        beta: the present one.
        keep: the share, of the mean over islands.

    It is one if that much is left there. By bisection, to a ten-thousandth of the step.

    >>> difference = torch.linspace(-100, 0, 1000)[None]
    >>> beta = next_beta(torch.zeros(1, 1000), difference, 0.0, 0.5)
    >>> round(float(effective_size(beta * difference)))
    500
    """
    goal = keep * float(effective_size(log_weights).mean())

    def left(delta: float) -> float:
        return float(effective_size(log_weights + delta * difference).mean())

    low, high = 0.0, 1 - beta
    if left(high) >= goal:
        return 1.0
    while high - low > 1e-4 * high:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if left(middle) >= goal else (low, middle)
    return beta + low


@torch.no_grad()
def temper(
    log_p: LogDensity,
    base: Distribution,
    islands: int = 8,
    particles: int = 512,
    *,
    ladder: Ladder | None = None,
    kernel: MarkovKernel | None = None,
    length: int = 8,
    thin: int = 1,
    keep: float = 0.5,
    generator: torch.Generator,
    callback: Callable[[], None] | None = None,
) -> TemperedRuns:
    """Islands of particles from the base to the target, `log_p` of any rows.

    Args:
        log_p: the log-density of the target up to the constant.
        base: a normalized distribution.
        islands: independent runs.
        particles: in each, a multiple of `length`.
        ladder: that of a pilot, which makes estimates unbiased; found on the way by default.
        kernel: of the moves, `HMC` with 5 leapfrog steps of very different sizes by default.
        length: states of each chain after resampling.
        thin: moves from one of these states to the next.
        keep: the share of the effective sample size that a temperature leaves.
        generator: for all randomness, on the CPU.
        callback: called at each temperature.

    Raises `InputError` for numbers out of range, `ConvergenceError` for particles that all have
    lost the target, and for a ladder that does not end.
    """
    whole("islands", islands)
    whole("thin", thin)
    if whole("particles", particles, least=2) % whole("length", length):
        raise InputError(f"particles are a multiple of length, {length}, not {particles}")
    if not 0 < number("keep", keep) < 1:
        raise InputError(f"keep is a share between 0 and 1, not {keep}")
    # Steps of many sizes reach into necks that are narrower than the rest of the target.
    kernel = HMC(leapfrogs=5, jitter=0.9) if kernel is None else kernel
    x = base.sample(islands * particles, generator=generator).double()
    difference = _difference(log_p, base, x, islands)
    even = -math.log(particles)
    log_weights = torch.full((islands, particles), even, dtype=torch.float64)
    log_z = torch.zeros(islands, dtype=torch.float64)
    beta, step, cost = 0.0, float(kernel.step), islands * particles
    made: list[Rung] = []
    sizes, rates, tails = [], [], []
    while beta < 1:
        if ladder is None:
            later = next_beta(log_weights, difference, beta, keep)
        else:
            later = ladder[len(made)].beta
        if len(made) >= _MOST or not later > beta:
            raise ConvergenceError(
                f"tempering has stopped at {beta:.3g} after {len(made)} temperatures: the base "
                "is too far from the target; give a base nearer to it, or more particles"
            )
        grown = log_weights + (later - beta) * difference
        gain = grown.logsumexp(1)
        log_z, log_weights, beta = log_z + gain, grown - gain[:, None], later
        sizes.append(effective_size(log_weights).mean())
        tails.append(pareto_shape(log_weights.flatten()))
        flat = x.flatten(1).double()
        metric = _metric(flat, log_weights) if ladder is None else ladder[len(made)].metric
        poor = effective_size(log_weights) < _LOST * particles

        def between(z: Tensor, beta: float = beta) -> Tensor:
            return torch.lerp(base.log_prob(z), log_p(z), beta)

        whitened = Whitened(between, metric)
        start = metric.inward(x).view(islands, particles, *x.shape[1:])
        few = particles // length
        for k in poor.nonzero()[:, 0].tolist():
            start[k, :few] = start[k, systematic_resampling(log_weights[k], few, generator)]
        log_weights[poor] = even
        # Islands that were resampled make chains of their few particles, the others one move each.
        moved, used, rate = _moved(
            kernel, whitened, start, poor, length, thin, step, generator,
            None if ladder is None else ladder[len(made)].step,
        )  # fmt: skip
        step = used
        x = metric.outward(moved.flatten(0, 1))
        difference = _difference(log_p, base, x, islands)
        cost += islands * particles * (thin * kernel.evaluations + 1)
        made.append(Rung(beta, used if ladder is None else ladder[len(made)].step, metric))
        rates.append(rate)
        if callback is not None:
            callback()
    return TemperedRuns(
        log_z, x.view(islands, particles, *x.shape[1:]), log_weights, tuple(made),
        torch.stack(sizes), torch.tensor(rates), cost, torch.stack(tails),
    )  # fmt: skip


def _moved(
    kernel: MarkovKernel,
    log_p: LogDensity,
    start: Tensor,
    poor: Tensor,
    length: int,
    thin: int,
    step: float,
    generator: torch.Generator,
    fixed: float | None,
) -> tuple[Tensor, float, float]:
    """All particles after their moves, `(R, N, *event)`, the last step size, and the acceptance.

    A step size that is not fixed adapts from move to move: a pilot's.
    """
    out = start.clone()
    rates: list[float] = []
    particles = start.shape[1]
    few = particles // length
    for which, count, states in ((poor, few, length), (~poor, particles, 1)):
        rows = which.nonzero()[:, 0]
        if not len(rows):
            continue
        state = evaluate(log_p, start[rows, :count].flatten(0, 1))
        for k in range(states):
            for _ in range(thin):
                size = torch.tensor(step if fixed is None else fixed).to(start)
                move = kernel.move(log_p, state, size, generator)
                state = move.state
                rates.append(float(move.acceptance.mean()))
                if fixed is None and kernel.target is not None:
                    step *= math.exp(rates[-1] - kernel.target)
            part = state.x.view(len(rows), count, *start.shape[2:])
            out[rows, k * count : (k + 1) * count] = part
    return out, step, sum(rates) / len(rates)


def _difference(log_p: LogDensity, base: Distribution, x: Tensor, islands: int) -> Tensor:
    """`log p_1 - log p_0` of all particles, `(R, N)`, minus infinity where the target vanishes.

    Raises `ConvergenceError` if it does so for all of an island.
    """
    found = (log_p(x) - base.log_prob(x)).double().cpu()
    found = found.nan_to_num(nan=-math.inf, neginf=-math.inf).view(islands, -1)
    if not bool(found.isfinite().any(1).all()):
        raise ConvergenceError("all particles of a run are where the target vanishes")
    return found


def _metric(flat: Tensor, log_weights: Tensor) -> Metric:
    """The metric of the weighted covariance of all particles."""
    share = (log_weights - math.log(len(log_weights))).exp().flatten()[:, None]
    away = flat - (share * flat).sum(0)
    size = float(1 / share.square().sum())
    tiny = 1e-12
    if size >= _DENSE * flat.shape[1]:
        spread = (share * away).mT @ away
        scale = spread.diagonal().clamp(min=tiny).sqrt()
        ridge = 1e-6 * torch.diag(scale.square())
        factor, bad = torch.linalg.cholesky_ex(spread + ridge)
        if not bool(bad):
            return Metric(factor)
    return Metric((share * away.square()).sum(0).clamp(min=tiny).sqrt())
