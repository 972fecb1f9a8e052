"""Discrete flow matching: from any sequences to any others, token by token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from pushforward._random import drawn_from_logits, fine_uniform, uniform_like
from pushforward._shapes import like
from pushforward.config import configurable
from pushforward.distributions import IndependentSymbols
from pushforward.dynamics import Jump, Reaction
from pushforward.errors import CapabilityError
from pushforward.processes._clock import (
    check_clock,
    restoration_chance,
    restoration_rate,
)
from pushforward.processes.process import GenerativeProcess, one_prediction
from pushforward.processes.reading import LogitsReading
from pushforward.protocols import Time
from pushforward.schedules import Rectified, Schedule
from pushforward.spaces import Tokens

__all__ = ["TokenPath"]

Pair = tuple[Tensor, Tensor]
"""Coupled sequences of the data and of the source."""


@configurable
@dataclass(frozen=True)
class TokenPath(GenerativeProcess[Tensor, Pair, Tensor]):
    r"""Between coupled sequences: each token is that of the data with the chance `alpha_t`, on its
    own, and otherwise that of the source (Gat et al. 2024).

    The prediction is the logits of the data, `p(x_0 | x_t)` for each site, the mean over all pairs
    whose path is at `x_t`. On the way to the data a token jumps at the hazard
    `-alpha'/(1 - alpha)` to a draw of it, which carries the laws of the path from the source to the
    data for any coupling; the pairs themselves need not be those of the coupling. Without a source
    it starts from uniform symbols.

    The loss is the cross-entropy of all tokens in nats. Away from the data a path is not known from
    its prediction, so that it runs towards them only: `churn` is refused.

    >>> from pushforward import processes, spaces
    >>> path = TokenPath(spaces.Tokens(3))
    >>> path.sample((torch.tensor([[0, 1]]), torch.tensor([[2, 2]])), 1.0)
    tensor([[2, 2]])
    """

    space: Tokens
    schedule: Schedule = field(default_factory=Rectified)

    paired = True
    sampler = "pinned"

    def __post_init__(self) -> None:
        check_clock(self.schedule)

    @property
    def clock(self) -> Schedule:
        """The schedule."""
        return self.schedule

    @property
    def interval(self) -> tuple[float, float]:
        """From the source to the data."""
        return 1.0, 0.0

    def reading(self, predict: Any = None) -> LogitsReading:
        """Logits of the symbols."""
        one_prediction("paths of tokens", predict, "logits")
        return LogitsReading(self.space.vocabulary)

    def prior(self, shape: tuple[int, ...], t: float = 1.0) -> IndependentSymbols:
        """Uniform symbols."""
        symbols = self.space.vocabulary
        return IndependentSymbols(torch.full((symbols,), 1 / symbols), tuple(shape))

    def sample(self, z: Pair, t: Time, generator: torch.Generator | None = None) -> Tensor:
        """Each token from one of the two ends."""
        data, source = z
        alpha, _ = self.schedule.values(t)
        u = uniform_like(torch.zeros(data.shape, device=data.device), generator)
        return self.space.where(u < like(alpha, data), data, source)

    def loss(self, pred: Tensor, z: Pair, x_t: Tensor, t: Time) -> Tensor:
        """The weighted cross-entropy of all tokens in nats, summed, `(B,)`."""
        entropy = functional.cross_entropy(pred.movedim(-1, 1), z[0], reduction="none")
        return entropy.flatten(1).sum(-1)

    def dynamics(self, pred: Tensor, x_t: Tensor, t: Time) -> Jump:
        """Jumps to draws of the prediction."""
        rate = like(restoration_rate(self.schedule, t), x_t) * torch.ones_like(pred[..., 0])
        return Jump(
            self.space,
            restore=Reaction(rate, lambda generator: drawn_from_logits(pred, generator)),
            destroy=Reaction(rate, _no_way_back),
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
        """A jump to a draw of the data with the chance `(alpha_s - alpha_t) / (1 - alpha_t)`."""
        chance = restoration_chance(self.schedule, t, s)
        u = fine_uniform(x_t.shape, generator, device=x_t.device)
        shown = (u < chance).to(x_t.device)
        return self.space.where(shown, drawn_from_logits(pred, generator), x_t)

    def finish(
        self, pred: Tensor, x_t: Tensor, t: float, generator: torch.Generator | None = None
    ) -> Tensor:
        """A draw of the data at every site."""
        return drawn_from_logits(pred, generator)

    def tabulate(self, grid: Sequence[float]) -> None:
        """Compute the schedule on a grid at once."""
        self.schedule.tabulate(grid)


def _no_way_back(generator: torch.Generator | None) -> Tensor:
    raise CapabilityError(
        "a path of tokens runs towards the data, without churn: train a second model for the way "
        "back, with the two sets exchanged"
    )
