"""What a Markov kernel is to those that run it."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from pushforward.mcmc.target import ChainState, LogDensity

__all__ = ["DIVERGENT", "MarkovKernel", "Move"]

DIVERGENT = 1000.0
"""The energy error of a step, in nats, from which a chain is said to diverge, as in Stan: a step
that loses so much has left the region where it approximates anything."""


class Move(NamedTuple):
    """What one step of a kernel did.

    Args:
        state: the chains afterwards; those that diverged stay where they were.
        acceptance: the probability with which each proposal was to be accepted, `(B,)`.
        diverged: chains whose proposal was not finite or had an energy error above `DIVERGENT`.
        evaluations: of the log-density, `(B,)`, where not all steps take as many.
        energy: of each trajectory at its start, `(B,)`, for kernels with momenta.
    """

    state: ChainState
    acceptance: Tensor
    diverged: Tensor
    evaluations: Tensor | None = None
    energy: Tensor | None = None


class MarkovKernel(Protocol):
    """A Markov kernel; a step is a pure function of its explicit state."""

    @property
    def step(self) -> float:
        """The size of a step, unless another is given."""

    @property
    def target(self) -> float | None:
        """The acceptance rate that step sizes are adapted to; `None` without acceptance."""

    @property
    def evaluations(self) -> int:
        """Evaluations of the log-density per step, with its gradient; at most, where a `Move` says.

        Kernels that need no gradient say `uses_gradient = False`.
        """

    def move(
        self,
        log_p: LogDensity,
        state: ChainState,
        step: float | Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Move:
        """One step of all chains, of a size that a number or a tensor `()` can overrule."""
