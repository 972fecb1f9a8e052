r"""Langevin dynamics: samples from a score.

One step is `x + (h / 2) s(x) + sqrt(h) n` with `n ~ N(0, I)`, in the convention of Song & Ermon
(2019): that of `pushforward.mcmc.ULA`, for a score that may have no density.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from statistics import NormalDist

import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.checks import positive, whole
from pushforward.errors import ConvergenceWarning, InputError
from pushforward.mcmc import check_states, langevin_step
from pushforward.score_matching.checks import ScoreFunction, evaluate
from pushforward.score_matching.levels import check_levels

__all__ = ["annealed_langevin", "langevin"]

Callback = Callable[[], None]

_FAR = 1.25
"""The factor by which the standard deviation of normal data may be off."""

_FEWEST = 8
"""Chains whose spread says something of the error of their mean."""

_FALSE_ALARMS = 1e-4
"""The share of good runs that may be warned of."""


@torch.no_grad()
def langevin(
    score: ScoreFunction,
    x: Tensor,
    step: float,
    steps: int,
    *,
    seed: int | None = None,
    generator: torch.Generator | None = None,
    callback: Callback | None = None,
) -> Tensor:
    """The last states of chains of unadjusted Langevin dynamics, `(B, *event)`.

    Args:
        score: a function `s(x)` that returns the shape of `x`.
        x: where the chains start, `(B, *event)`.
        step: the step size `h`.
        steps: how many steps.
        seed: for the noise; or give a `generator` on the device of the states.
        callback: called after each step.

    Warns of too large a step or too few of them, as far as eight chains or more show it: where they
    come to rest, `E[s] = 0` and `E[(x - c) . s] = -d` for any `c`, and at the last step these are
    off by as much as those of normal data whose deviation is a quarter off, or whose mean is by a
    quarter of it. Modes in wrong proportions do not show. Warns of chains that are not finite.
    Raises `InputError` for a start that is not finite, a step size or a number of steps that is not
    positive, or a score of another shape.

    >>> x = langevin(lambda x: -x, torch.zeros(4000, 1), 0.5, 50, seed=0)
    >>> abs(float(x.var()) - 1 / (1 - 0.5 / 4)) < 0.1
    True
    """
    check_states(x)
    size = positive("step", step)
    whole("steps", steps)
    last: list[tuple[Tensor, Tensor]] = []

    def watched(x: Tensor) -> Tensor:
        value = evaluate(score, x)
        last[:] = [(x, value)]
        return value

    end = _chain(watched, x, size, steps, resolve(seed, generator, x.device), callback)
    doubt = _restless(*last[0], end)
    if doubt:
        warnings.warn(
            f"after {steps} Langevin steps of size {size:g} {doubt}; take smaller steps if the "
            "chains spread too far, more of them if they have not come far enough",
            ConvergenceWarning,
            stacklevel=3,
        )
    return end


@torch.no_grad()
def annealed_langevin(
    score: ScoreFunction,
    x: Tensor,
    sigmas: Sequence[float],
    step: float,
    steps: int,
    *,
    seed: int | None = None,
    generator: torch.Generator | None = None,
    callback: Callback | None = None,
) -> Tensor:
    """Annealed Langevin dynamics (Song & Ermon 2019, algorithm 1), `(B, *event)`.

    `steps` steps at each level, from the largest to the smallest, of size
    `step sigma^2 / sigma_last^2`: the ratio of drift to noise is the same at all levels.

    Args:
        score: a function `s(x, sigma)`, `sigma` of shape `(B,)`, that returns the shape of `x`.
        x: where the chains start, `(B, *event)`.
        sigmas: the levels, positive, largest first.
        step: the step size at the last level; below `4 sigma_last^2`, where chains can be stable.
        steps: how many steps at each level.
        seed: for the noise; or give a `generator` on the device of the states.
        callback: called after each step.

    Warns of too few steps: if normal data of unit variance would come out with a standard deviation
    a quarter off, which is known in closed form and hardly depends on the variance. Raises
    `InputError` as `langevin`, and for levels that do not decrease or too large a step.

    >>> score = lambda x, sigma: -x / (1 + sigma[:, None] ** 2)  # of N(0, 1) with noise
    >>> annealed_langevin(score, torch.zeros(5, 1), (1.0, 0.1), 0.002, 500, seed=0).shape
    torch.Size([5, 1])
    """
    check_states(x)
    levels = check_levels(sigmas)
    size = positive("step", step)
    if size >= 4 * levels[-1] ** 2:
        raise InputError(
            f"step {size} is too large for the last level {levels[-1]}: keep it below "
            f"{4 * levels[-1] ** 2:g}, better near {0.2 * levels[-1] ** 2:g}"
        )
    whole("steps", steps)
    ratio = _spread(levels, size, steps)
    if not 1 / _FAR < ratio < _FAR:
        warnings.warn(
            f"{steps} Langevin steps at each of {len(levels)} levels are too few: normal data "
            f"would come out with {ratio:.3g} times their standard deviation; take more steps, or "
            "levels that lie closer together",
            ConvergenceWarning,
            stacklevel=3,
        )
    generator = resolve(seed, generator, x.device)
    for sigma in levels:
        level = torch.full(x.shape[:1], sigma, dtype=x.dtype, device=x.device)

        def at_level(x: Tensor, level: Tensor = level) -> Tensor:
            return score(x, level)

        scaled = size * (sigma / levels[-1]) ** 2
        x = _chain(at_level, x, scaled, steps, generator, callback)
    return x


def _spread(levels: Sequence[float], step: float, steps: int) -> float:
    """The standard deviation in which `N(0, 1)` comes out, over the right one.

    A chain that starts from the first level's distribution stays normal: its score is
    `-x / (1 + sigma^2)`.
    """
    variance = 1 + levels[0] ** 2
    for sigma in levels:
        size = step * (sigma / levels[-1]) ** 2
        kept = (1 - size / 2 / (1 + sigma**2)) ** 2
        variance = kept**steps * variance + size * (1 - kept**steps) / (1 - kept)
    return math.sqrt(variance / (1 + levels[-1] ** 2))


def _restless(x: Tensor, score: Tensor, end: Tensor) -> str | None:
    """What shows that chains `(B, *event)` do not rest where their score would have them."""
    lost = int((~end.flatten(1).isfinite().all(1)).sum())
    if lost:
        return f"{lost} of {len(end)} chains are not finite"
    if len(x) < _FEWEST:
        return None
    # Some accelerators have no double precision.
    x, score = (states.flatten(1).cpu().double() for states in (x, score))
    terms = -((x - x.mean(0)) * score).mean(1)
    count = len(x) - 1
    square = float(terms.mean()) * len(x) / count
    error = float(terms.std()) / math.sqrt(count)
    sure = _sure(1, count)
    if square - sure * error > _FAR**2 or square + sure * error < 1 / _FAR**2:
        return f"E[(x - c) . s] / d is {-square:.3g} ± {error:.2g} in the place of -1"
    tiny = torch.finfo(score.dtype).tiny
    drift = score.mean(0).abs() / score.std(0).clamp(min=tiny)
    shift = float(drift.max())
    if shift - _sure(score.shape[1], count) / math.sqrt(count) > _FAR - 1:
        return f"the mean of the score is {shift:.3g} of its standard deviations in the place of 0"
    return None


def _sure(numbers: int, count: int) -> float:
    """The errors that no one of so many means over `count + 1` chains is off by, nearly always."""
    normal = NormalDist().inv_cdf(1 - _FALSE_ALARMS / (2 * numbers))
    # Errors by few draws are uncertain themselves: the quantile of Student's t, by its expansion.
    found: float = normal * (1 + (normal**2 + 1) / (4 * count))
    return found


def _chain(
    score: ScoreFunction,
    x: Tensor,
    size: float,
    steps: int,
    generator: torch.Generator,
    callback: Callback | None,
) -> Tensor:
    """The steps themselves; chains that diverge come back as they are, for the caller to see."""
    for _ in range(steps):
        x = langevin_step(x, evaluate(score, x), size, generator)
        if callback is not None:
            callback()
    return x
