"""Masking: tokens are hidden one by one, independently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from pushforward._precision import widest
from pushforward._random import drawn_from_logits, fine_uniform, uniform_like
from pushforward._shapes import like
from pushforward.config import configurable
from pushforward.distributions import Constant
from pushforward.dynamics import Jump, Reaction
from pushforward.errors import InputError
from pushforward.processes._clock import (
    check_clock,
    destruction_rate,
    restoration_chance,
    restoration_rate,
)
from pushforward.processes.process import GenerativeProcess, one_prediction
from pushforward.processes.reading import LogitsReading
from pushforward.protocols import Time
from pushforward.schedules import Rectified, Schedule
from pushforward.spaces import Tokens

__all__ = ["Masking"]


@configurable
@dataclass(frozen=True)
class Masking(GenerativeProcess[Tensor, Tensor, Tensor]):
    r"""Each token is still visible at time `t` with the chance `alpha_t`, on its own.

    The prediction is the logits of the hidden tokens, `(B, sites, K)`; the loss
    `-alpha'/(1 - alpha) sum_hidden cross-entropy` integrates over t to the negative evidence
    lower bound (Sahoo et al. 2024; Shi et al. 2024). Reversed, a hidden token is shown at the
    hazard `-alpha'/(1 - alpha)`.

    >>> process = Masking(Tokens(3))
    >>> process.prior((2,)).sample(1)
    tensor([[3, 3]])
    """

    space: Tokens
    schedule: Schedule = field(default_factory=Rectified)

    def __post_init__(self) -> None:
        check_clock(self.schedule)

    supports = frozenset({"bound", "guidance"})
    loss_bounds = True
    sampler = "pinned"

    @property
    def clock(self) -> Schedule:
        """The schedule."""
        return self.schedule

    @property
    def interval(self) -> tuple[float, float]:
        """From the end, where all is masked."""
        return 1.0, self.schedule.t_min

    def reading(self, predict: Any = None) -> LogitsReading:
        """Logits of the symbols."""
        one_prediction("masked tokens", predict, "logits")
        return LogitsReading(self.space.vocabulary, self.space.alphabets)

    def finish(
        self, pred: Tensor, x_t: Tensor, t: float, generator: torch.Generator | None = None
    ) -> Tensor:
        """Every token that is still masked is shown."""
        return self.bridge(pred, x_t, t, 0.0, generator=generator)

    def prior(self, shape: tuple[int, ...], t: float = 1.0) -> Constant:
        """All masked."""
        return Constant(torch.full((1, *shape), self.space.mask))

    def sample(self, z: Tensor, t: Time, generator: torch.Generator | None = None) -> Tensor:
        """Each token hidden with the chance `1 - alpha_t`."""
        alpha, _ = self.schedule.values(t)
        visible = uniform_like(torch.zeros(z.shape, device=z.device), generator) < like(alpha, z)
        return self.space.where(visible, z, torch.full_like(z, self.space.mask))

    def loss(self, pred: Tensor, z: Tensor, x_t: Tensor, t: Time) -> Tensor:
        """The weighted cross-entropy of the hidden tokens in nats, summed, `(B,)`."""
        return restoration_rate(self.schedule, t) * self._hidden_entropy(pred, z, x_t)

    def tilted(self, pred: Tensor, log_factors: Tensor, x_t: Tensor) -> Tensor:
        """Logits of hidden tokens plus the logarithms of factors; those of visible ones as they
        were."""
        hidden = (x_t == self.space.mask).unsqueeze(-1)
        return torch.where(hidden, pred + log_factors.to(pred), pred)

    def redrawn(
        self, pred: Tensor, x_t: Tensor, t: float, generator: torch.Generator | None = None
    ) -> Tensor:
        """Hidden tokens shown, visible ones hidden, at rates in detailed balance at time `t`.

        A hidden token is shown with the chance `min(1, alpha / (1 - alpha))`, a visible one hidden
        with the inverse of that. The law at time `t` is left alone if one site at a time takes what
        is drawn.
        """
        alpha = float(self.schedule.at(t).alpha)
        hidden = x_t == self.space.mask
        shown = min(1.0, alpha / (1 - alpha)) if alpha < 1 else 1.0
        lost = min(1.0, (1 - alpha) / alpha) if alpha > 0 else 1.0
        u = fine_uniform(x_t.shape, generator, device=x_t.device)
        moved = torch.where(hidden, (u < shown).to(x_t.device), (u < lost).to(x_t.device))
        new = torch.where(hidden, drawn_from_logits(pred, generator), self.space.mask)
        return self.space.where(moved, new, x_t)

    def rate_bound(self, t: float) -> float:
        """The rate at which any hidden token is shown."""
        return float(restoration_rate(self.schedule, t))

    def prior_cost(self, z: Tensor, t: float) -> Tensor:
        """Zero at the end, where all is masked.

        Raises `InputError` earlier, where what is still visible has no chance under the prior.
        """
        if float(self.schedule.at(t).alpha) > 0:
            raise InputError(
                f"tokens are still visible at t = {t:g} under {self.schedule}, and the prior has "
                "none: a bound needs a clock whose alpha ends at zero, such as "
                "schedules.Rectified()"
            )
        return z.new_zeros(len(z), dtype=widest(z.device))

    def cost_rate(self, pred: Tensor, z: Tensor, x_t: Tensor, t: Time) -> Tensor:
        """The loss."""
        return self.loss(pred, z, x_t, t)

    def data_cost(self, pred: Tensor, z: Tensor, x_t: Tensor, t: float) -> Tensor:
        """The cross-entropy of the tokens that are still hidden."""
        return self._hidden_entropy(pred, z, x_t)

    def dynamics(self, pred: Tensor, x_t: Tensor, t: Time) -> Jump:
        """Hidden tokens are shown, visible ones hidden, each at the clock's rate."""
        hidden = (x_t == self.space.mask).to(pred.dtype)
        show = like(restoration_rate(self.schedule, t), x_t) * hidden
        hide = like(destruction_rate(self.schedule, t), x_t) * (1 - hidden)
        return Jump(
            self.space,
            restore=Reaction(show, lambda generator: drawn_from_logits(pred, generator)),
            destroy=Reaction(hide, lambda generator: torch.full_like(x_t, self.space.mask)),
        )

    def bridge(
        self,
        pred: Tensor,
        x_t: Tensor,
        t: float,
        s: float,
        churn: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Show each hidden token with its exact chance `(alpha_s - alpha_t) / (1 - alpha_t)`.

        The posterior of a visible token is certain, so `churn` has nothing to act on.
        """
        chance = restoration_chance(self.schedule, t, s)
        u = fine_uniform(x_t.shape, generator, device=x_t.device)
        shown = (x_t == self.space.mask) & (u < chance).to(x_t.device)
        return self.space.where(shown, drawn_from_logits(pred, generator), x_t)

    def _hidden_entropy(self, pred: Tensor, z: Tensor, x_t: Tensor) -> Tensor:
        """The cross-entropy of the hidden tokens in nats, summed, `(B,)`."""
        entropy = functional.cross_entropy(pred.movedim(-1, 1), z, reduction="none")
        return (entropy * (x_t == self.space.mask)).flatten(1).sum(-1)

    def tabulate(self, grid: Sequence[float]) -> None:
        """Compute the schedule on a grid at once."""
        self.schedule.tabulate(grid)
