r"""Annealing both ways, and the combination of both: Bennett's acceptance ratio.

Forward chains go from the base to the target with log-weights `w`, `E exp(w) = Z`; backward ones
start at exact draws of the target, and of their log-weights, added up the same way, `E exp(-w) =
1 / Z`. So in expectation the mean of `w` is below `log Z` forward, and above it backward (Grosse,
Ghahramani & Adams 2015). Of all combinations of both, the one of least variance solves

    sum_forward s(w - c) = sum_backward s(c - w),   c = log Z + log(n / m),

with the logistic function `s` and `n` forward and `m` backward weights (Bennett 1976), and is
consistent for any number of temperatures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from pushforward._roots import increasing_root
from pushforward.errors import InputError
from pushforward.mcmc import LogDensity, MarkovKernel, evaluate

__all__ = ["anneal_back", "bennett"]


@torch.no_grad()
def anneal_back(
    kernel: MarkovKernel,
    log_p: LogDensity,
    base: LogDensity,
    x: Tensor,
    betas: Sequence[float],
    steps: Tensor,
    *,
    moves: int = 1,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Log-weights of chains from draws of the target back to the base, `(B,)`.

    The reversal of `mcmc.anneal` with the same step sizes: moves at a temperature come before the
    step to the one below. The kernel has to be in detailed balance, as `MALA` and `HMC` are.

    Args:
        kernel: of the moves.
        log_p: the target's log-density up to a constant.
        base: the base's log-density.
        x: exact draws of the target, `(B, *event)`.
        betas: inverse temperatures, increasing from 0 to 1.
        steps: the step size at each but the first.
        moves: of the kernel at each temperature.
        generator: for the noise.
    """
    log_weights = torch.zeros_like(x.flatten(1)[:, 0])
    for (before, beta), step in zip(reversed(list(pairwise(betas))), steps.flip(0), strict=True):

        def at_temperature(x: Tensor, beta: float = beta) -> Tensor:
            return torch.lerp(base(x), log_p(x), beta)

        state = evaluate(at_temperature, x)
        for _ in range(moves):
            state = kernel.move(at_temperature, state, step, generator).state
        x = state.x
        log_weights += (beta - before) * (log_p(x) - base(x))
    return log_weights


def bennett(forward: Tensor, backward: Tensor) -> tuple[float, float]:
    """`log Z` from forward and backward log-weights, `(n,)` and `(m,)`, and its standard error.

    The error is the asymptotic one of Shirts et al. 2003, from the spread of both sides.

    Raises `InputError` for fewer than two weights on a side.

    >>> w = torch.randn(2000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    >>> value, stderr = bennett(w + 2.5, w + 3.5)  # N(2.5, 1) and its tilt: log Z = 3
    >>> abs(value - 3) < 4 * stderr < 0.2
    True
    """
    if len(forward) < 2 or len(backward) < 2:
        raise InputError("weights of two chains at least are needed on both sides")
    f, b = forward.double().cpu(), backward.double().cpu()
    if not bool(f.isfinite().any() and b.isfinite().all()):
        raise InputError("the weights are not finite")
    f = f[f.isfinite()]
    n, m = len(forward), len(b)
    shift = math.log(n / m)
    low = torch.minimum(f.min(), b.min()) - abs(shift) - 50
    high = torch.maximum(f.max(), b.max()) + abs(shift) + 50

    def balance(c: Tensor) -> Tensor:
        return torch.sigmoid(c - b).sum() - torch.sigmoid(f - c).sum()

    c = float(increasing_root(balance, low, high))
    value = c - shift

    def relative(s: Tensor, count: int) -> float:
        """The variance of the mean of `s`, relative to its square; absent weights are zero."""
        mean = float(s.sum()) / count
        return (float(s.square().sum()) / count / mean**2 - 1) / count

    variance = relative(torch.sigmoid(f - c), n) + relative(torch.sigmoid(c - b), m)
    return value, math.sqrt(max(variance, 0.0))
