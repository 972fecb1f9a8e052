r"""Underdamped Langevin dynamics by splitting, without acceptance.

Of `dx = p dt`, `dp = grad log p(x) dt - c p dt + sqrt(2 c) dW` each part is solved exactly: half a
kick (B), half a drift (A), the noise (O), `p' = a p + sqrt(1 - a^2) n` with `a = exp(-c h)`, half a
drift, half a kick. Nothing corrects the error of the step size, which is `O(h^2)`; but for a normal
law the variance of `x` is right for every stable step, `h < 2 s` with the least deviation `s`, and
all of the error is in the momenta, whose variance is `1 - h^2 / (4 v)` where that of `x` is `v`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward._random import normal_like
from pushforward._shapes import accumulate, like, per_event_sum
from pushforward.checks import positive
from pushforward.config import configurable
from pushforward.mcmc.kernel import DIVERGENT, Move
from pushforward.mcmc.target import ChainState, LogDensity, evaluate, finite, select

__all__ = ["BAOAB"]


@configurable
@dataclass(frozen=True)
class BAOAB:
    """Underdamped Langevin steps that are all taken (Leimkuhler & Matthews 2013).

    Args:
        step: the size `h` of a step. Chains are biased by `O(h^2)`, less than those of `ULA` at the
            same cost; `Underdamped` has no bias.
        friction: `c`, the rate at which the momentum is forgotten.

    A state without momentum gets a normal one. Raises `InputError` for numbers that are not
    positive.

    >>> log_p = lambda x: -x.square().sum(-1) / 2
    >>> move = BAOAB(0.5).move(log_p, evaluate(log_p, torch.zeros(3, 2)))
    >>> move.state.momentum.shape
    torch.Size([3, 2])
    """

    step: float = 0.1
    friction: float = 1.0

    target = None
    evaluations = 1
    uses_gradient = True

    def __post_init__(self) -> None:
        positive("step", self.step)
        positive("friction", self.friction)

    def move(
        self,
        log_p: LogDensity,
        state: ChainState,
        step: float | Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Move:
        """One step of all chains; see `MarkovKernel`."""
        step = self.step if step is None else step
        size = step if isinstance(step, Tensor) else torch.as_tensor(step).to(state.x)
        kept = like((-self.friction * size).exp(), state.x)
        start = normal_like(state.x, generator) if state.momentum is None else state.momentum
        p = accumulate(start, (step / 2,), (state.gradient,))
        x = accumulate(state.x, (step / 2,), (p,))
        p = kept * p + (1 - kept**2) ** 0.5 * normal_like(p, generator)
        new = evaluate(log_p, accumulate(x, (step / 2,), (p,)))
        p = accumulate(p, (step / 2,), (new.gradient,))
        taken = finite(new) & (state.log_p - new.log_p < DIVERGENT)
        old = state._replace(momentum=-start)
        energy = per_event_sum(start.square()) / 2 - state.log_p
        moved = select(taken, new._replace(momentum=p), old)
        return Move(moved, taken.to(new.log_p), ~taken, energy=energy)
