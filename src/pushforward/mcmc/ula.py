r"""The unadjusted Langevin algorithm.

A step is `x + (h / 2) grad log p(x) + sqrt(h) n` with `n ~ N(0, I)`. Nothing corrects its error: on
`N(0, v)` the chain ends at the variance `v / (1 - h / (4 v))`, and diverges for `h >= 4 v`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward._random import normal_like
from pushforward._shapes import accumulate
from pushforward.checks import positive
from pushforward.config import configurable
from pushforward.mcmc.kernel import DIVERGENT, Move
from pushforward.mcmc.target import ChainState, LogDensity, evaluate, finite, select

__all__ = ["ULA", "langevin_step"]


def langevin_step(
    x: Tensor, score: Tensor, step: float | Tensor, generator: torch.Generator | None = None
) -> Tensor:
    """`x + (h / 2) score + sqrt(h) noise`, shaped like `x`, for a step size `h`."""
    return accumulate(x, (step / 2, step**0.5), (score, normal_like(x, generator)))


@configurable
@dataclass(frozen=True)
class ULA:
    """Langevin steps that are all taken (Parisi 1981; Roberts & Tweedie 1996).

    Args:
        step: the step size `h`; chains are biased by `h / (4 v)` where the variance is `v`.

    Raises `InputError` for a step size that is not positive.

    >>> log_p = lambda x: -x.square().sum(-1) / 2
    >>> ULA(0.1).move(log_p, evaluate(log_p, torch.zeros(3, 2))).state.x.shape
    torch.Size([3, 2])
    """

    step: float = 0.01

    target = None
    evaluations = 1
    uses_gradient = True

    def __post_init__(self) -> None:
        positive("step", self.step)

    def move(
        self,
        log_p: LogDensity,
        state: ChainState,
        step: float | Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Move:
        """One step of all chains; see `MarkovKernel`."""
        step = self.step if step is None else step
        new = evaluate(log_p, langevin_step(state.x, state.gradient, step, generator))
        taken = finite(new) & (state.log_p - new.log_p < DIVERGENT)
        return Move(select(taken, new, state), taken.to(new.log_p), ~taken)
