"""The Metropolis-adjusted Langevin algorithm."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.checks import positive
from pushforward.config import configurable
from pushforward.mcmc.hmc import hamiltonian_move
from pushforward.mcmc.kernel import Move
from pushforward.mcmc.target import ChainState, LogDensity

__all__ = ["MALA"]


@configurable
@dataclass(frozen=True)
class MALA:
    """Langevin steps, accepted or rejected so that the target is invariant (Besag 1994).

    One leapfrog step of size `sqrt(h)` from a fresh momentum is a Langevin step of size `h`, and
    its energy error is the logarithm of the Metropolis-Hastings ratio (Neal 2011, section 5.2).

    Args:
        step: the step size `h` of `x + (h / 2) grad log p(x) + sqrt(h) n`.

    Raises `InputError` for a step size that is not positive.

    >>> from pushforward.mcmc import evaluate
    >>> log_p = lambda x: -x.square().sum(-1) / 2
    >>> MALA(0.1).move(log_p, evaluate(log_p, torch.zeros(3, 2))).acceptance.shape
    torch.Size([3])
    """

    step: float = 0.05

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
        return hamiltonian_move(log_p, state, step**0.5, 1, generator)
