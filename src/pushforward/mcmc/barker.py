r"""The Barker proposal: the gradient decides the signs of a random walk's steps.

Each number moves by `w` or `-w`, `w ~ N(0, h)`, with the odds `exp(w g)` for its gradient `g`:
`q(x, x + w) = 2 N(w; 0, h) / (1 + exp(-w g(x)))`. A wrong step size costs it less than Langevin
steps, whose proposals leave where gradients are large.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

from pushforward._random import normal_like, uniform_like
from pushforward._shapes import like, per_event_sum
from pushforward.checks import positive
from pushforward.config import configurable
from pushforward.mcmc.kernel import Move
from pushforward.mcmc.target import ChainState, LogDensity, evaluate, finite, select

__all__ = ["Barker"]


@configurable
@dataclass(frozen=True)
class Barker:
    """Barker's proposal, accepted or rejected (Livingstone & Zanella 2022).

    Args:
        step: the variance `h` of a step.

    Raises `InputError` for a step size that is not positive.

    >>> from pushforward.mcmc import evaluate
    >>> log_p = lambda x: -x.square().sum(-1) / 2
    >>> Barker(0.1).move(log_p, evaluate(log_p, torch.zeros(3, 2))).acceptance.shape
    torch.Size([3])
    """

    step: float = 0.1

    target = 0.574
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
        size = like(step**0.5, state.x)
        w = size * normal_like(state.x, generator)
        keep = uniform_like(state.x, generator) < torch.sigmoid(w * state.gradient)
        w = torch.where(keep, w, -w)
        new = evaluate(log_p, state.x + w)
        # The normal factors are the same both ways.
        back = per_event_sum(softplus(-w * state.gradient) - softplus(w * new.gradient))
        log_ratio = new.log_p - state.log_p + back
        sound = finite(new)
        ratio = log_ratio.exp().clamp(max=1)
        acceptance = torch.where(sound, ratio, torch.zeros_like(ratio))
        accepted = uniform_like(acceptance, generator) < acceptance
        return Move(select(accepted, new, state), acceptance, ~sound)
