"""Point sets that diffuse while their points are deleted (Campbell et al. 2023)."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pushforward._precision import widest
from pushforward._shapes import like, per_event_sum
from pushforward.config import configurable
from pushforward.distributions import Constant
from pushforward.dynamics import Split
from pushforward.parametrizations import VPrediction
from pushforward.processes.gaussian import Gaussian
from pushforward.processes.missing_reading import Missing, MissingReading
from pushforward.processes.on_points import (
    NetworkSizes,
    OnPoints,
    carried,
    noise_on,
    output_weight,
    read_present,
)
from pushforward.processes.process import GenerativeProcess, Support, one_prediction
from pushforward.processes.reading import AffineReading, Reading
from pushforward.processes.thinning import Thinning, log_likelihoods, relative
from pushforward.protocols import Time
from pushforward.schedules import Schedule
from pushforward.spaces import PointCloud
from pushforward.state import EventShape

__all__ = ["JumpDiffusion", "PointPrediction", "Way"]


class PointPrediction(NamedTuple):
    """What was lost of a point set: which points are missing, and where the present ones were."""

    missing: Missing
    mean: Tensor
    """`E[x_0 | x_t]` of each present point, `(B, slots, d)`."""


class Way(NamedTuple):
    """Data, and the same sets noised before any of their points was deleted."""

    data: Any
    noised: Any


@configurable
@dataclass(frozen=True)
class JumpDiffusion(GenerativeProcess[Any, Any, PointPrediction]):
    """Thinning and a Gaussian process side by side, each on its own schedule.

    A point of the data is noised like any vector for as long as it lives, and keeps its marks.
    Reversed, present points flow and new ones are born, marks and all, as noised draws of the
    distribution of a missing data point. Positions about the center of a set (`PointCloud(center)`)
    lose their center whenever a point comes or goes, and a newborn one has the noise of the center
    of the present points besides its own, `sigma sqrt(1 + 1/n)`.

    Args:
        diffusion: how points are noised; its space plays no part.
        thinning: how they are deleted: any of them, or those at the ends of a sequence by
            `Trimming`.
        space: of the sets; by default that of `thinning`, which it takes the place of.

    >>> process = JumpDiffusion()
    >>> process.prior((4, 2)).sample(3).number
    tensor([0, 0, 0])
    """

    diffusion: Gaussian = field(default_factory=Gaussian)
    thinning: Thinning = field(default_factory=Thinning)
    space: PointCloud = None  # type: ignore[assignment]

    format_version = Thinning.format_version
    """Both read networks alike."""

    def __post_init__(self) -> None:
        if self.space is None:
            object.__setattr__(self, "space", self.thinning.space)
        elif self.space != self.thinning.space:
            object.__setattr__(self, "thinning", replace(self.thinning, space=self.space))

    @property
    def sampler(self) -> str:  # type: ignore[override]
        """That of `thinning`."""
        return self.thinning.sampler

    @property
    def supports(self) -> frozenset[Support]:  # type: ignore[override]
        """A bound, where `thinning` has one."""
        return self.thinning.supports

    @cached_property
    def clock(self) -> Schedule:
        """The clock of thinning, on the times at which points have noise."""
        found, noise = copy.copy(self.thinning.schedule), self.diffusion.schedule
        object.__setattr__(found, "t_min", max(found.t_min, noise.t_min))
        object.__setattr__(found, "t_max", min(found.t_max, noise.t_max))
        return found

    @property
    def interval(self) -> tuple[float, float]:
        """From the end, where no point is left."""
        return 1.0, self.clock.t_min

    def reading(self, predict: Any = None) -> Reading:
        """The missing points, and `v` for the means of the present ones."""
        one_prediction("a jump diffusion", predict, "points")
        present = AffineReading(self.diffusion.schedule, VPrediction())
        return _PointReading(present, self.thinning.reading())

    def finish(
        self, pred: PointPrediction, x_t: Any, t: float, generator: torch.Generator | None = None
    ) -> Any:
        """Present points go to their posterior means, missing ones are born as data."""
        present = self.space.nearest(x_t._replace(x=pred.mean.to(x_t.x)))
        return self.thinning.bridge(pred.missing, present, t, 0.0, generator=generator)

    def prior(self, shape: EventShape, t: float = 1.0) -> Constant:
        """The empty set, for event shapes `((slots, d), (slots,))`, or `(slots, d)` for short."""
        return self.thinning.prior(shape, t)

    def descend(self, z: Any, t: Time, generator: torch.Generator | None = None) -> tuple[Way, Any]:
        """Noise every point, then delete some: the way there, and where it ends."""
        noise = noise_on(self.diffusion, self.space.filled(z))
        moved = z._replace(x=noise.sample(z.x, t, generator))
        return Way(z, moved), self.thinning.sample(moved, t, generator)

    def sample(self, z: Any, t: Time, generator: torch.Generator | None = None) -> Any:
        """Noise every point, delete some."""
        return self.descend(z, t, generator)[1]

    def loss(self, pred: PointPrediction, z: Any, x_t: Any, t: Time) -> Tensor:
        """The loss of thinning plus the squared error of the present points, summed, `(B,)`.

        The error counts as one of the network's own output, `v`.
        """
        data = z.data if isinstance(z, Way) else z
        kept = self.space.nearest(data._replace(mask=x_t.mask))
        filled = self.space.filled(x_t)
        error = per_event_sum(filled.nearest(pred.mean - kept.x).square())
        weight = like(output_weight(self.diffusion, t), error)
        return self.thinning.loss(pred.missing, data, x_t, t) + weight * error

    def dynamics(self, pred: PointPrediction, x_t: Any, t: Time) -> Split:
        """Motion of the present points, then births and deaths."""
        filled = self.space.filled(x_t)
        flow = noise_on(self.diffusion, filled).dynamics(pred.mean, x_t.x, t)
        missing = self._noised(pred.missing, x_t, t)
        return Split((OnPoints(flow, filled), self.thinning.dynamics(missing, x_t, t)))

    def bridge(
        self,
        pred: PointPrediction,
        x_t: Any,
        t: float,
        s: float,
        churn: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Any:
        """The pinned kernels of both parts; newborn points arrive with the noise of time `s`."""
        filled = self.space.filled(x_t)
        noise = noise_on(self.diffusion, filled)
        moved = noise.bridge(filled.nearest(pred.mean), x_t.x, t, s, churn, generator)
        present = x_t._replace(x=moved)
        born = self.thinning.born(pred.missing, x_t, t, s, generator)
        point = self._noised(pred.missing, x_t, s).point
        return self.space.where(born, self.thinning.newborns(point, x_t, born, generator), present)

    def carried(
        self, pred: PointPrediction, x_t: Any, t: Tensor, s: Tensor, generator: Any = None
    ) -> Any:
        """The present points at times `s` of their own sets, `(B,)`, by the pinned kernel."""
        filled = self.space.filled(x_t)
        moved = carried(self.diffusion, filled, filled.nearest(pred.mean), x_t.x, t, s, generator)
        return x_t._replace(x=moved)

    @property
    def clock_of_births(self) -> Schedule:
        """The schedule of thinning."""
        return self.thinning.schedule

    def filled_one(
        self, arriving: Missing, x_t: Any, born: Tensor, u: Tensor, generator: Any = None
    ) -> Any:
        """One more point in some of the sets, in any of their empty slots."""
        return self.thinning.filled_one(arriving, x_t, born, u, generator)

    def arriving(self, pred: PointPrediction, x_t: Any, t: Tensor) -> Missing:
        """The law of the number of missing points, and one of them as it stands at the time."""
        return self._noised(pred.missing, x_t, t)

    def prior_cost(self, z: Any, t: float) -> Tensor:
        """Zero: no point is left at the end."""
        return self.thinning.prior_cost(z, t)

    def cost_rate(self, pred: PointPrediction, z: Way, x_t: Any, t: Time) -> Tensor:
        """That of the present points, and that of the births, as they stand at the time.

        Takes the way of `descend` in the place of the data.
        """
        kept = self.space.nearest(z.data._replace(mask=x_t.mask))
        white = Gaussian(self.diffusion.schedule)
        mean = self.space.filled(x_t).nearest(pred.mean)
        moving = white.cost_rate(mean, kept.x, x_t.x, t)
        missing = self._noised(pred.missing, x_t, t)
        surprise = -log_likelihoods(missing.point, self.space, z.noised, x_t)
        surprise = surprise + self._log_noise(z, x_t, t)
        births = self.thinning.birth_cost(missing, surprise, z.data, x_t, t)
        return moving + births.to(moving)

    def _log_noise(self, z: Way, x_t: Any, t: Time) -> Tensor:
        """The log-density of the noise of each point beside those that are there, `(B, slots)`."""
        alpha, _ = self.diffusion.schedule.values(t)
        gap = relative(self.space, z.noised, x_t)
        gap = gap - like(alpha, gap) * relative(self.space, z.data, x_t)
        std = self._std(x_t, t).unsqueeze(1)
        each = -0.5 * (gap / std).square() - std.log() - 0.5 * math.log(2 * math.pi)
        # The first point of a set about its center has no place there.
        unplaced = (self.space.center * (x_t.number == 0)).reshape(-1, 1, 1)
        return (each * (torch.arange(gap.shape[-1], device=gap.device) >= unplaced)).sum(-1)

    def data_cost(self, pred: PointPrediction, z: Any, x_t: Any, t: Time) -> Tensor:
        """Present points by `N(pred, sigma^2 / alpha^2)`, missing ones at once."""
        data = z.data if isinstance(z, Way) else z
        k, filled = self.diffusion.schedule.at(t), self.space.filled(x_t)
        scale = float(k.sigma) / float(k.alpha)
        kept = self.space.nearest(data._replace(mask=x_t.mask))
        error = filled.nearest(pred.mean - kept.x).to(widest(x_t.x.device)) / scale
        freedom = filled.freedom(x_t.x.shape[-1])
        present = 0.5 * per_event_sum(error.square())
        present = present + freedom * math.log(scale * math.sqrt(2 * math.pi))
        return present + self.thinning.data_cost(pred.missing, data, x_t, t).to(present)

    def tabulate(self, grid: Sequence[float]) -> None:
        """Compute both schedules on a grid at once."""
        self.diffusion.tabulate(grid)
        self.thinning.tabulate(grid)

    def _noised(self, missing: Missing, x_t: Any, t: Time) -> Missing:
        """A missing point as it would stand at time `t`."""
        alpha, _ = self.diffusion.schedule.values(t)
        return missing._replace(point=missing.point.noised(alpha, self._std(x_t, t)))

    def _std(self, x_t: Any, t: Time) -> Tensor:
        """The noise of a newborn point, `(B, d)`: about the center, that of the center besides."""
        _, sigma = self.diffusion.schedule.values(t)
        std = torch.ones_like(x_t.x[:, 0]) * like(sigma, x_t.x[:, 0])
        center = self.space.center
        if not center:
            return std
        # The first points are about the center of the data, which is sharp.
        number = x_t.number.to(std)
        wider = torch.where(number > 0, 1 + 1 / number.clamp_min(1), 1.0).sqrt().unsqueeze(-1)
        return torch.cat([std[:, :center] * wider, std[:, center:]], -1)


@dataclass(frozen=True)
class _PointReading(Reading[Any, PointPrediction]):
    """`PointPrediction` from numbers of the set and of each point."""

    present: AffineReading
    missing: MissingReading

    def at(self, t: Time) -> tuple[Time, Any]:
        """The time, and the row for the means of the present points."""
        return t, self.present.at(t)

    def time(self, row: tuple[Time, Any]) -> Time:
        """The time itself."""
        return row[0]

    def network_sizes(self, event_shape: EventShape) -> NetworkSizes:
        """Those of what is missing; a vector more, and numbers for coordinates without a center."""
        own = self.missing.network_sizes(event_shape)
        rest = own.coordinates - own.positions if own.positions else 0
        return own._replace(vectors=own.vectors + 1, outputs=own.outputs + rest)

    def output_shape(self, event_shape: EventShape) -> EventShape:
        """Numbers of the set, vectors of each point, numbers of each point."""
        found: EventShape = self.network_sizes(event_shape).output_shape(event_shape[0][0])
        return found

    def read(self, row: tuple[Time, Any], output: Any, x_t: Any) -> PointPrediction:
        """The mean of each point first: a missing one is sought beside it."""
        pooled, vectors, numbers = output
        velocity, displacements = vectors.chunk(2, -1)
        rest = x_t.x.shape[-1] - velocity.shape[-1]
        own, numbers = numbers[..., :rest], numbers[..., rest:]
        space = self.missing.space
        mean = read_present(self.present, space, row[1], velocity, own, x_t)
        missing = self.missing.about(mean, pooled, displacements, numbers, x_t, row[0])
        return PointPrediction(missing, mean)
