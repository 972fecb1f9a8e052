r"""Hamiltonian Monte Carlo.

A particle at `x` with a momentum `p ~ N(0, I)` moves in the potential `-log p(x)` by leapfrog
steps, which are reversible and keep volumes: what they lose of the energy `-log p(x) + |p|^2 / 2`
decides whether the end is accepted.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward._random import normal_like, uniform_like
from pushforward._shapes import accumulate, per_event_sum
from pushforward.checks import fraction, positive, whole
from pushforward.config import configurable
from pushforward.mcmc.kernel import DIVERGENT, Move
from pushforward.mcmc.target import ChainState, LogDensity, evaluate, finite, select

__all__ = ["HMC", "hamiltonian_move", "leapfrog"]


def leapfrog(
    log_p: LogDensity, state: ChainState, momentum: Tensor, step: float | Tensor, count: int = 1
) -> tuple[ChainState, Tensor]:
    """Where `count` leapfrog steps lead, and with which momentum.

    A step is half a kick `p + (e / 2) grad log p(x)`, a drift `x + e p`, and half a kick; its size
    `e` is a number, or a tensor `()` or `(B,)`. The energy error of a given time is `O(e^2)`.

    >>> log_p = lambda x: -x.square().sum(-1) / 2
    >>> start = evaluate(log_p, torch.ones(1, 1))
    >>> state, momentum = leapfrog(log_p, start, torch.zeros(1, 1), 0.01, 314)
    >>> state.x.round(decimals=2)
    tensor([[-1.]])
    """
    for _ in range(count):
        momentum = accumulate(momentum, (step / 2,), (state.gradient,))
        state = evaluate(log_p, accumulate(state.x, (step,), (momentum,)))
        momentum = accumulate(momentum, (step / 2,), (state.gradient,))
    return state, momentum


def hamiltonian_move(
    log_p: LogDensity,
    state: ChainState,
    step: float | Tensor,
    count: int,
    generator: torch.Generator | None = None,
) -> Move:
    """`count` leapfrog steps from a fresh momentum, accepted with `min(1, exp(-energy error))`."""
    momentum = normal_like(state.x, generator)
    new, after = leapfrog(log_p, state, momentum, step, count)
    kinetic = per_event_sum(after.square() - momentum.square()) / 2
    error = state.log_p - new.log_p + kinetic
    sound = finite(new) & (error < DIVERGENT)
    acceptance = torch.where(sound, (-error).exp().clamp(max=1), torch.zeros_like(error))
    accepted = uniform_like(error, generator) < acceptance
    energy = per_event_sum(momentum.square()) / 2 - state.log_p
    return Move(select(accepted, new, state), acceptance, ~sound, energy=energy)


@configurable
@dataclass(frozen=True)
class HMC:
    """Hamiltonian Monte Carlo with a fixed number of leapfrog steps (Duane et al. 1987; Neal 2011).

    Args:
        step: the size of a leapfrog step.
        leapfrogs: how many of them make a proposal.
        jitter: each chain's step size is multiplied by a uniform factor from `1 - jitter` to
            `1 + jitter`: trajectories of one length can return to where they began.

    Raises `InputError` for a step size or a number that is not positive, or a jitter not in [0, 1).

    >>> log_p = lambda x: -x.square().sum(-1) / 2
    >>> HMC(0.1).move(log_p, evaluate(log_p, torch.zeros(3, 2))).acceptance.shape
    torch.Size([3])
    """

    step: float = 0.1
    leapfrogs: int = 10
    jitter: float = 0.2

    target = 0.8
    uses_gradient = True

    def __post_init__(self) -> None:
        positive("step", self.step)
        whole("leapfrogs", self.leapfrogs)
        fraction("jitter", self.jitter)

    @property
    def evaluations(self) -> int:
        """Gradients of the log-density per step."""
        return self.leapfrogs

    def move(
        self,
        log_p: LogDensity,
        state: ChainState,
        step: float | Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Move:
        """One trajectory of all chains; see `MarkovKernel`."""
        step = self.step if step is None else step
        spread = 1 + self.jitter * (2 * uniform_like(state.log_p, generator) - 1)
        return hamiltonian_move(log_p, state, step * spread, self.leapfrogs, generator)
