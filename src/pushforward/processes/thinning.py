"""Thinning: the points of a set are deleted one by one, independently, until none is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from pushforward._random import uniform_like
from pushforward._shapes import like
from pushforward.config import configurable
from pushforward.distributions import Constant
from pushforward.dynamics import Jump, Reaction
from pushforward.processes._clock import (
    check_clock,
    destruction_rate,
    restoration_chance,
    restoration_rate,
)
from pushforward.processes.missing_point import mixture_size, point_mixtures
from pushforward.processes.process import GenerativeProcess, one_prediction
from pushforward.processes.reading import Reading
from pushforward.protocols import Distribution, Time
from pushforward.schedules import Rectified, Schedule
from pushforward.spaces import PointCloud, Points
from pushforward.state import EventShape

__all__ = ["Missing", "MissingReading", "Thinning"]


class Missing(NamedTuple):
    """What was deleted: the expected number `(B,)` of missing points, the distribution of one."""

    number: Tensor
    point: Distribution


class MissingReading(Reading[Points, Missing]):
    """`Missing` from one vector: the expected number, and a mixture of Gaussians for one point."""

    def output_shape(self, event_shape: EventShape) -> EventShape:
        """`(1 + mixture,)` numbers."""
        (_, dim), _ = event_shape
        return (1 + mixture_size(dim),)

    def read(self, row: Any, output: Tensor, x_t: Points) -> Missing:
        """The number is positive by a softplus."""
        number = functional.softplus(output[:, 0])
        return Missing(number, point_mixtures(output[:, 1:], x_t.x.shape[-1]))


@configurable
@dataclass(frozen=True)
class Thinning(GenerativeProcess[Points, Points, Missing]):
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

    sampler = "pinned"

    @property
    def clock(self) -> Schedule:
        """The schedule."""
        return self.schedule

    @property
    def interval(self) -> tuple[float, float]:
        """From the end, where no point is left."""
        return 1.0, self.schedule.t_min

    def reading(self, predict: Any = None) -> Reading:
        """An expected number, and a mixture of Gaussians for a missing point."""
        one_prediction("deleted points", predict, "missing")
        return MissingReading()

    def finish(
        self, pred: Missing, x_t: Points, t: float, generator: torch.Generator | None = None
    ) -> Points:
        """All points that are still missing are born."""
        return self.bridge(pred, x_t, t, 0.0, generator=generator)

    def prior(self, shape: EventShape, t: float = 1.0) -> Constant:
        """The empty set, for event shapes `((slots, d), (slots,))`, or `(slots, d)` for short."""
        slots, dim = shape[0] if isinstance(shape[0], tuple) else shape
        mask = torch.zeros(1, slots, dtype=torch.bool)
        return Constant(Points(torch.zeros(1, slots, dim), mask))

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
        each = pred.point.log_prob(z.x.transpose(0, 1)).transpose(0, 1)
        return score - (each * lost).sum(-1)

    def dynamics(self, pred: Missing, x_t: Points, t: Time) -> Jump:
        """Births in empty slots, deaths in filled ones."""
        birth = like(restoration_rate(self.schedule, t), pred.number) * _per_slot(pred.number, x_t)
        death = like(destruction_rate(self.schedule, t), x_t.mask) * x_t.mask
        return Jump(
            self.space,
            restore=Reaction(birth, lambda generator: _newborn(pred.point, x_t, generator)),
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
        return self.space.where(born, _newborn(pred.point, x_t, generator), x_t)

    def tabulate(self, grid: Sequence[float]) -> None:
        """Compute the schedule on a grid at once."""
        self.schedule.tabulate(grid)


def _per_slot(number: Tensor, x: Points) -> Tensor:
    """The expected number of missing points spread over the empty slots, `(B, slots)`."""
    empty = (~x.mask).to(number.dtype)
    return number.unsqueeze(-1) * empty / empty.sum(-1, keepdim=True).clamp_min(1)


def _empty(x: Points) -> Points:
    return Points(torch.zeros_like(x.x), torch.zeros_like(x.mask))


def _newborn(point: Distribution, x: Points, generator: torch.Generator | None) -> Points:
    drawn = point.sample(x.mask.shape[1], generator=generator).transpose(0, 1)
    return Points(drawn.to(x.x), torch.ones_like(x.mask))
