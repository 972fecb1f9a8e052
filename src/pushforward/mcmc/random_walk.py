"""Random-walk Metropolis: no gradient is needed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward._random import normal_like, uniform_like
from pushforward._shapes import accumulate
from pushforward.checks import positive
from pushforward.config import configurable
from pushforward.mcmc.kernel import Move
from pushforward.mcmc.target import ChainState, LogDensity, select, valued

__all__ = ["RandomWalk"]


@configurable
@dataclass(frozen=True)
class RandomWalk:
    """Steps `x + step n` with `n ~ N(0, I)`, accepted with `min(1, p(y) / p(x))`.

    The oldest Markov chain of its kind (Metropolis et al. 1953); the log-density needs no
    derivative. The acceptance rate aims at 0.234 (Roberts, Gelman & Gilks 1997).

    Args:
        step: the standard deviation of a step.

    Raises `InputError` for a step size that is not positive.

    >>> from pushforward.mcmc import valued
    >>> log_p = lambda x: -x.detach().abs().sum(-1)
    >>> RandomWalk(0.1).move(log_p, valued(log_p, torch.zeros(3, 2))).acceptance.shape
    torch.Size([3])
    """

    step: float = 0.5

    target = 0.234
    evaluations = 1
    uses_gradient = False

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
        noise = normal_like(state.x, generator)
        new = valued(log_p, accumulate(state.x, (step,), (noise,)))
        # Outside of the support, and where the density is no number, nothing is accepted.
        broken = new.log_p.isnan() | (new.log_p == torch.inf)
        ratio = (new.log_p - state.log_p).exp().clamp(max=1)
        acceptance = torch.where(broken, torch.zeros_like(ratio), ratio)
        accepted = uniform_like(acceptance, generator) < acceptance
        return Move(select(accepted, new, state), acceptance, broken)
