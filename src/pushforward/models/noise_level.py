"""The level of Gaussian noise, estimated from the measurement itself."""

from __future__ import annotations

import math
import warnings
from typing import Any, NamedTuple

from pushforward import checks
from pushforward._random import derived_seed
from pushforward.errors import ConvergenceWarning, InputError
from pushforward.inverse import Operator
from pushforward.models.as_measured import as_measured
from pushforward.models.posterior import Exactness

__all__ = ["NoiseLevel", "estimated_level"]


class NoiseLevel(NamedTuple):
    """An estimate of the standard deviation of the noise.

    Args:
        value: in the units of the measurement.
        stderr: its standard error, `value / sqrt(2 (m - p))` for `m` measured numbers of which `p`
            are explained by the freedom of the state, together with the Monte Carlo error of the
            draws.
        iterations: of expectation-maximization.
        converged: whether what is left to go is less than a tenth of the error.
        exactness: of the draws. What the method gets wrong of the posterior is wrong in the level,
            too, and no part of `stderr`.
    """

    value: float
    stderr: float
    iterations: int
    converged: bool
    exactness: Exactness


def estimated_level(
    model: Any,
    y: Any,
    operator: Operator,
    *,
    c: Any = None,
    guidance: float = 1.0,
    method: Any = None,
    draws: int = 32,
    steps: int = 50,
    iterations: int = 50,
    seed: int = 0,
    **options: Any,
) -> NoiseLevel:
    r"""The level of white Gaussian noise by expectation-maximization over posterior draws.

    `sigma^2 <- E[|y - A(x)|^2 | y, sigma] / m` climbs to a maximum of `p(y | sigma)` (Dempster,
    Laird & Rubin 1977), with the expectation over `draws` of a guided sampler. It starts at the
    deviation of `y`, far above, and stops where what is left of its geometric convergence is small
    beside the error of the level. What
    guidance gets wrong of the posterior it gets wrong of the level; and where the state is free to
    explain every measured number, as with few of them, the level is not in the data.

    Args:
        model: the prior.
        y: one measurement, or a batch that shares the level; of a selection also whole states.
        operator: what made it.
        c: the context of the model.
        guidance: classifier-free.
        method: of the posterior; by default as in `model.posterior`.
        draws: for each iteration, all with the same noise.
        steps: of the sampler.
        iterations: at most.
        seed: of the draws.
        options: of the method.

    Warns if it has not converged. Raises `InputError` for fewer than eight measured numbers, and
    for numbers that are all the same or not finite.
    """
    checks.whole("iterations", iterations)
    checks.whole("draws", draws, least=2)
    y, operator = as_measured(model, y, operator)
    if y.numel() < 8:
        raise InputError(
            f"{y.numel()} measured numbers do not tell the level of their noise: give it"
        )
    level, stderr, change, left = float(y.std()), math.inf, math.inf, math.inf
    if not 0 < level < math.inf:
        raise InputError(
            "measured numbers that are all the same, or not finite, do not tell the level of their "
            "noise: give it"
        )
    done = 0
    while done < iterations:
        done += 1
        post = model.posterior(
            y, operator=operator, noise=level, method=method, c=c, guidance=guidance, **options
        )
        x = post.sample(draws, seed=derived_seed(seed, 1), steps=steps, check=False)
        clean = post.measured(x)
        new = max(float((y - clean).square().mean().sqrt()), 1e-30)
        # What the states of the posterior differ in, in units of the noise.
        explained = float((clean - clean.mean(0)).square().sum(0).sum()) / (draws - 1) / new**2
        left_free = max(y.numel() - explained, 1.0)
        # Of the mean square over draws, which the iterations amplify as a geometric series does.
        squares = (y - clean).square().flatten(1).mean(1)
        noise = float(squares.std()) / math.sqrt(draws) / (2 * new) * y.numel() / left_free
        stderr = math.hypot(new / math.sqrt(2 * left_free), noise)
        before, change, level = change, abs(new - level), new
        # Steps that shrink by a factor r leave r / (1 - r) of the last one to go.
        left = change * change / (before - change) if change < before < math.inf else math.inf
        if left < 0.1 * stderr:
            break
    converged = left < 0.1 * stderr
    if not converged:
        warnings.warn(
            f"the level of the noise has not settled after {done} iterations: it still changes by "
            f"{change:.2g}, and its error is {stderr:.2g}",
            ConvergenceWarning,
            stacklevel=2,
        )
    return NoiseLevel(level, stderr, done, converged, post.exactness)
