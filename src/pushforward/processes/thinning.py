"""Thinning: the points of a set are deleted one by one, independently, until none is left."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pushforward._random import drawn_from_logits, uniform_like
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
from pushforward.processes.missing_point import PointMixtures
from pushforward.processes.missing_reading import Missing, MissingReading
from pushforward.processes.process import GenerativeProcess, one_prediction
from pushforward.protocols import Time
from pushforward.schedules import Rectified, Schedule
from pushforward.spaces import PointCloud
from pushforward.state import EventShape

__all__ = ["Thinning", "blank", "log_likelihoods", "newborn", "relative"]


@configurable
@dataclass(frozen=True)
class Thinning(GenerativeProcess[Any, Any, Missing]):
    r"""Each point is still there at time `t` with the chance `alpha_t`, on its own.

    The prediction is `Missing`: the law of the number `k` of missing points and the distribution
    `f` of one of them. With the expected number `m`, points are born, reversed in time, at the rate
    `m f(y)` times the hazard `-alpha' / (1 - alpha)` (compare Campbell et al. 2023).

    Sets have no order: densities are those of unordered sets, `n!` times the density of `n` points
    in a row, per unit of the volume of each point. The loss is `-log(k! p(k) f(y_1) .. f(y_k))` of
    the missing points, as if all were born at once. Where positions are about the center of a set,
    newborn points stand about that of the present ones, and the center moves: `k` of them widen the
    volume by `((n + k) / n)^{-1/2}` for each such coordinate.

    Args:
        schedule: the chance to be there.
        space: of the sets.

    >>> process = Thinning()
    >>> process.prior((4, 2)).sample(3).number
    tensor([0, 0, 0])
    """

    schedule: Schedule = field(default_factory=Rectified)
    space: PointCloud = field(default_factory=PointCloud)

    def __post_init__(self) -> None:
        check_clock(self.schedule)

    sampler = "pinned"
    supports = frozenset({"bound"})

    format_version = 2
    """1 had chances of numbers of missing points in the place of those of sizes."""

    @property
    def clock(self) -> Schedule:
        """The schedule."""
        return self.schedule

    @property
    def interval(self) -> tuple[float, float]:
        """From the end, where no point is left."""
        return 1.0, self.schedule.t_min

    def reading(self, predict: Any = None) -> MissingReading:
        """Chances of the number of missing points, and a mixture of Gaussians for one of them."""
        one_prediction("deleted points", predict, "missing")
        return MissingReading(self.space, self.schedule)

    def finish(
        self, pred: Missing, x_t: Any, t: float, generator: torch.Generator | None = None
    ) -> Any:
        """All points that are still missing are born."""
        return self.bridge(pred, x_t, t, 0.0, generator=generator)

    def prior(self, shape: EventShape, t: float = 1.0) -> Constant:
        """The empty set, for event shapes `((slots, d), (slots,))`, or `(slots, d)` for short."""
        return Constant(self.space.empty(*(shape[0] if isinstance(shape[0], tuple) else shape)))

    def sample(self, z: Any, t: Time, generator: torch.Generator | None = None) -> Any:
        """Each point kept with the chance `alpha_t`, in its slot."""
        alpha, _ = self.schedule.values(t)
        lost = uniform_like(z.x[..., 0], generator) >= like(alpha, z.mask)
        return self.space.where(lost, blank(z), z)

    def loss(self, pred: Missing, z: Any, x_t: Any, t: Time) -> Tensor:
        """What the missing points cost at once, in nats, `(B,)`."""
        return self.data_cost(pred, z, x_t, t)

    def prior_cost(self, z: Any, t: float) -> Tensor:
        """Zero: the prior is what the process makes of data at the end."""
        return z.x.new_zeros(len(z.x))

    def cost_rate(self, pred: Missing, z: Any, x_t: Any, t: Time) -> Tensor:
        r"""`-alpha' / (1 - alpha) (m - k - sum_i log(m f(y_i)))` for the missing points `y_i`.

        The relative entropy of births with the rate of the reversal of the data from births with
        that of the model, for unordered sets.
        """
        missing = (z.mask & ~x_t.mask).sum(-1)
        moved = missing * self._jacobian(x_t.mask.sum(-1), torch.ones_like(missing))
        surprise = -log_likelihoods(pred.point, self.space, z, x_t)
        return self.birth_cost(pred, surprise, z, x_t, t, -moved)

    def birth_cost(
        self, pred: Missing, surprise: Tensor, z: Any, x_t: Any, t: Time, more: Any = 0.0
    ) -> Tensor:
        """The cost of births per unit of time, where each missing point costs its `surprise`
        `(B, slots)` of a place, and each set `more`."""
        number, lost = pred.number.clamp_min(1e-30), z.mask & ~x_t.mask
        missing = lost.sum(-1)
        places = torch.where(lost, surprise, 0.0).sum(-1) + more
        cost = number - missing - torch.xlogy(missing, number) + places
        return like(restoration_rate(self.schedule, t), number) * cost

    def data_cost(self, pred: Missing, z: Any, x_t: Any, t: Time) -> Tensor:
        """`-log(k! p(k) f(y_1) .. f(y_k))` of the missing points."""
        lost = z.mask & ~x_t.mask
        missing, present = lost.sum(-1), x_t.mask.sum(-1)
        each = log_likelihoods(pred.point, self.space, z, x_t, together=True)
        chance = pred.counts.gather(-1, missing.unsqueeze(-1)).squeeze(-1)
        total = chance + torch.lgamma(missing + 1.0) + (each * lost).sum(-1)
        total = total + self._jacobian(present, missing)
        if self.space.center:
            # Points about their own center have one place less.
            first = (present == 0) & (missing > 0)
            width = pred.point.log_std[:, 0, 0] + 0.5 * math.log(2 * math.pi)
            total = total + first * self.space.center * width
        return -total

    def _jacobian(self, present: Tensor, born: Tensor) -> Tensor:
        """`(center / 2) log((n + k) / n)`; nothing for an empty set, `(B,)`."""
        if not self.space.center:
            return torch.zeros(present.shape, device=present.device)
        n = present.clamp_min(1).to(torch.get_default_dtype())
        return torch.where(present > 0, 0.5 * self.space.center * torch.log((n + born) / n), 0.0)

    def dynamics(self, pred: Missing, x_t: Any, t: Time) -> Jump:
        """Births in empty slots, deaths in filled ones."""
        number = pred.number
        empty = (~x_t.mask).to(number.dtype)
        share = number.unsqueeze(-1) * empty / empty.sum(-1, keepdim=True).clamp_min(1)
        birth = like(restoration_rate(self.schedule, t), share) * share
        death = like(destruction_rate(self.schedule, t), x_t.mask) * x_t.mask
        return Jump(
            self.space,
            restore=Reaction(birth, lambda generator: newborn(pred.point, x_t, generator)),
            destroy=Reaction(death.to(birth), lambda generator: blank(x_t)),
        )

    def bridge(
        self,
        pred: Missing,
        x_t: Any,
        t: float,
        s: float,
        churn: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Any:
        """The number of missing points is drawn, and each of them is born with its exact chance
        `(alpha_s - alpha_t) / (1 - alpha_t)`."""
        born = self.born(pred, x_t, t, s, generator)
        return self.space.where(born, self.newborns(pred.point, x_t, born, generator), x_t)

    def newborns(
        self, point: PointMixtures, x_t: Any, born: Tensor, generator: torch.Generator | None = None
    ) -> Any:
        """Points for the slots that are `born` in one step: independent draws."""
        return newborn(point, x_t, generator)

    def born(
        self, pred: Missing, x_t: Any, t: float, s: float, generator: torch.Generator | None = None
    ) -> Tensor:
        """Which slots a pinned step fills, `(B, slots)`: any of the empty ones."""
        missing = drawn_from_logits(pred.counts, generator)
        keys = uniform_like(x_t.x[..., 0], generator).masked_fill(x_t.mask, 2.0)
        chosen = keys.argsort(-1).argsort(-1) < missing.unsqueeze(-1)
        chance = restoration_chance(self.schedule, t, s)
        return chosen & ~x_t.mask & (uniform_like(x_t.x[..., 0], generator) < chance)

    def carried(self, pred: Missing, x_t: Any, t: Tensor, s: Tensor, generator: Any = None) -> Any:
        """The present points, which stay where they are."""
        return x_t

    @property
    def clock_of_births(self) -> Schedule:
        """The schedule."""
        return self.schedule

    def filled_one(
        self, arriving: Missing, x_t: Any, born: Tensor, u: Tensor, generator: Any = None
    ) -> Any:
        """One more point in some of the sets, in any of their empty slots."""
        empty = ~x_t.mask
        place = (u.to(x_t.x) * empty.sum(-1)).long().unsqueeze(-1)
        chosen = empty & (empty.cumsum(-1) - 1 == place) & born.unsqueeze(-1)
        return self.space.where(chosen, newborn(arriving.point, x_t, generator), x_t)

    def arriving(self, pred: Missing, x_t: Any, t: Tensor) -> Missing:
        """The prediction itself."""
        return pred

    def tabulate(self, grid: Sequence[float]) -> None:
        """Compute the schedule on a grid at once."""
        self.schedule.tabulate(grid)


def log_likelihoods(
    point: PointMixtures, space: PointCloud, z: Any, x_t: Any, together: bool = False
) -> Tensor:
    """The log-density of each point of `z` as one that is missing from `x_t`, `(B, slots)`.

    The first point of a set about its center has no place, unless all that are missing are looked
    at `together`.
    """
    kinds = z.kinds if space.kinds else None
    unplaced = None if together or not space.center else space.center * (x_t.number == 0)
    return point.log_prob(relative(space, z, x_t), kinds, unplaced)


def relative(space: PointCloud, z: Any, x_t: Any) -> Tensor:
    """The coordinates of points of `z`, positions about the center of those that `x_t` still has;
    about their own where none is left, `(B, slots, d)`."""
    if not space.center:
        coordinates: Tensor = z.x
        return coordinates
    present = (z.mask & x_t.mask).unsqueeze(-1)
    around = torch.where(present.any(1, keepdim=True), present, z.mask.unsqueeze(-1))
    positions = z.x[..., : space.center]
    center = (positions * around).sum(1, keepdim=True) / around.sum(1, keepdim=True).clamp_min(1)
    return torch.cat([positions - center, z.x[..., space.center :]], -1)


def newborn(point: PointMixtures, x: Any, generator: torch.Generator | None) -> Any:
    """Points drawn for every slot of some sets."""
    places, *kinds = point.sample(x.mask.shape[1], generator=generator)
    marks = {"kinds": kinds[0].to(x.kinds)} if kinds else {}
    return x._replace(x=places.to(x.x), mask=torch.ones_like(x.mask), **marks)


def blank(x: Any) -> Any:
    """Empty slots in the place of all of some sets."""
    zeros = {"kinds": torch.zeros_like(x.kinds)} if hasattr(x, "kinds") else {}
    return x._replace(x=torch.zeros_like(x.x), mask=torch.zeros_like(x.mask), **zeros)
