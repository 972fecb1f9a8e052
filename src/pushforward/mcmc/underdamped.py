r"""Underdamped Langevin dynamics, with the momentum as a part of the state.

`dx = p dt`, `dp = grad log p(x) dt - c p dt + sqrt(2 c) dW` leaves `p(x) N(p; 0, I)` invariant. A
step is half of the noise, exactly, `p' = a p + sqrt(1 - a^2) n` with `a = exp(-c h / 2)`, a
leapfrog step of size `h`, and the other half. The leapfrog step is accepted with
`min(1, exp(-energy error))`, and where it is not, the momentum is turned round: then nothing is
left of the error of the step size (Horowitz 1991).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward._random import normal_like, uniform_like
from pushforward._shapes import like, per_event_sum
from pushforward.checks import positive
from pushforward.config import configurable
from pushforward.mcmc.hmc import leapfrog
from pushforward.mcmc.kernel import DIVERGENT, Move
from pushforward.mcmc.target import ChainState, LogDensity, finite, select

__all__ = ["Underdamped"]


@configurable
@dataclass(frozen=True)
class Underdamped:
    """Underdamped Langevin steps, accepted or turned round (Horowitz 1991).

    Args:
        step: the size `h` of a leapfrog step.
        friction: `c`, the rate at which the momentum is forgotten.

    A state without momentum gets a normal one. Raises `InputError` for numbers that are not
    positive.

    >>> from pushforward.mcmc import evaluate
    >>> log_p = lambda x: -x.square().sum(-1) / 2
    >>> move = Underdamped(0.1).move(log_p, evaluate(log_p, torch.zeros(3, 2)))
    >>> move.state.momentum.shape
    torch.Size([3, 2])
    """

    step: float = 0.1
    friction: float = 1.0

    # Each refusal turns the momentum round: steps that are refused often go nowhere.
    target = 0.9
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
        kept = like((-0.5 * self.friction * size).exp(), state.x)

        def refreshed(p: Tensor) -> Tensor:
            return kept * p + (1 - kept**2) ** 0.5 * normal_like(p, generator)

        if state.momentum is None:
            start = normal_like(state.x, generator)
        else:
            start = refreshed(state.momentum)
        new, after = leapfrog(log_p, state, start, step)
        kinetic = per_event_sum(after.square() - start.square()) / 2
        error = state.log_p - new.log_p + kinetic
        sound = finite(new) & (error < DIVERGENT)
        acceptance = torch.where(sound, (-error).exp().clamp(max=1), torch.zeros_like(error))
        accepted = uniform_like(error, generator) < acceptance
        moved = select(accepted, new._replace(momentum=after), state._replace(momentum=-start))
        assert moved.momentum is not None
        energy = per_event_sum(start.square()) / 2 - state.log_p
        return Move(
            moved._replace(momentum=refreshed(moved.momentum)), acceptance, ~sound, energy=energy
        )
