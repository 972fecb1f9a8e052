"""Thinning: the points of a set are deleted one by one, independently, until none is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from pushforward._random import fork, uniform_like
from pushforward._shapes import like
from pushforward.config import configurable
from pushforward.distributions import Constant, Distribution
from pushforward.dynamics import Jump, Reaction
from pushforward.processes._clock import (
    check_clock,
    destruction_rate,
    restoration_chance,
    restoration_rate,
)
from pushforward.protocols import Time
from pushforward.schedules import Rectified, Schedule
from pushforward.spaces import PointCloud, Points

__all__ = ["Missing", "PointLaw", "SharedLaw", "Thinning"]


class PointLaw(Protocol):
    """The law of one missing point, given each set of the batch."""

    def draw(self, shape: tuple[int, int], generator: torch.Generator | None) -> Tensor:
        """Points for `(B, slots)`, shape `(B, slots, d)`."""

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density of points `(B, slots, d)`, shape `(B, slots)`."""


@dataclass(frozen=True)
class SharedLaw:
    """One distribution for the missing points of every set.

    >>> from pushforward.distributions import Normal
    >>> SharedLaw(Normal((2,))).draw((3, 4), torch.Generator().manual_seed(0)).shape
    torch.Size([3, 4, 2])
    """

    law: Distribution

    def draw(self, shape: tuple[int, int], generator: torch.Generator | None) -> Tensor:
        """Independent points, `(B, slots, d)`."""
        noise = fork(generator, copies=shape[1])
        return self.law.sample(shape[0] * shape[1], generator=noise).reshape(*shape, -1)

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density of each point, `(B, slots)`."""
        return self.law.log_prob(x.reshape(-1, x.shape[-1])).reshape(x.shape[:-1])


class Missing(NamedTuple):
    """What was deleted: the expected number of missing points `(B,)`, and the law of one."""

    number: Tensor
    law: PointLaw


@configurable
@dataclass(frozen=True)
class Thinning:
    r"""Each point is still there at time `t` with the chance `alpha_t`, on its own.

    The prediction is `Missing`. Its loss is the Poisson score `m - n log m` of the expected number
    `m` against the number `n` that is missing, minus the log-likelihood of the missing points.
    Reversed, points are born at the hazard `-alpha'/(1 - alpha)` times the expected number (compare
    Campbell et al. 2023). Births go to empty slots, which bounds their number.

    >>> process = Thinning()
    >>> process.prior((4, 2)).sample(3).number
    tensor([0, 0, 0])
    """

    schedule: Schedule = field(default_factory=Rectified)
    space: PointCloud = field(default_factory=PointCloud)

    def __post_init__(self) -> None:
        check_clock(self.schedule)

    def prior(self, shape: tuple[int, ...]) -> Constant:
        """The empty set, with `shape = (slots, d)`."""
        mask = torch.zeros(1, shape[0], dtype=torch.bool)
        return Constant(Points(torch.zeros(1, *shape), mask))

    def sample(self, z: Points, t: Time, generator: torch.Generator | None = None) -> Points:
        """Each point kept with the chance `alpha_t`, in its slot."""
        alpha, _ = self.schedule.values(t)
        lost = uniform_like(z.x[..., 0], generator) >= like(alpha, z.mask)
        return self.space.where(lost, _empty(z), z)

    def loss(self, pred: Missing, z: Points, x_t: Points, t: Time) -> Tensor:
        """The Poisson score and the negative log-likelihood of what is missing, in nats, `(B,)`."""
        lost = z.mask & ~x_t.mask
        missing = lost.sum(-1)
        score = pred.number - torch.xlogy(missing, pred.number)
        return score - (pred.law.log_prob(z.x) * lost).sum(-1)

    def dynamics(self, pred: Missing, x_t: Points, t: Time) -> Jump:
        """Births in empty slots, deaths in filled ones."""
        birth = like(restoration_rate(self.schedule, t), pred.number) * _per_slot(pred.number, x_t)
        death = like(destruction_rate(self.schedule, t), x_t.mask) * x_t.mask
        return Jump(
            self.space,
            restore=Reaction(birth, lambda generator: _newborn(pred.law, x_t, generator)),
            destroy=Reaction(death.to(birth), lambda generator: _empty(x_t)),
        )

    def bridge(
        self,
        pred: Missing,
        x_t: Points,
        t: float,
        s: float,
        churn: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Points:
        """Births of each missing point with its exact chance `(alpha_s - alpha_t)/(1 - alpha_t)`.

        Exact in the expected number; the number itself is binomial over the empty slots.
        """
        chance = restoration_chance(self.schedule, t, s) * _per_slot(pred.number, x_t)
        born = uniform_like(chance, generator) < chance
        return self.space.where(born, _newborn(pred.law, x_t, generator), x_t)

    def tabulate(self, grid: Sequence[float]) -> None:
        """Compute the schedule on a grid at once."""
        self.schedule.tabulate(grid)


def _per_slot(number: Tensor, x: Points) -> Tensor:
    """The expected number of missing points spread over the empty slots, `(B, slots)`."""
    empty = (~x.mask).to(number.dtype)
    return number.unsqueeze(-1) * empty / empty.sum(-1, keepdim=True).clamp_min(1)


def _empty(x: Points) -> Points:
    return Points(torch.zeros_like(x.x), torch.zeros_like(x.mask))


def _newborn(law: PointLaw, x: Points, generator: torch.Generator | None) -> Points:
    batch, slots = x.mask.shape
    return Points(law.draw((batch, slots), generator).to(x.x), torch.ones_like(x.mask))
