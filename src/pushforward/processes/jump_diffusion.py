"""Point sets that diffuse while their points are deleted (Campbell et al. 2023)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.config import configurable
from pushforward.distributions import Constant
from pushforward.dynamics import Flow, Split
from pushforward.errors import CapabilityError
from pushforward.parametrizations import VPrediction
from pushforward.processes.gaussian import Gaussian
from pushforward.processes.process import GenerativeProcess, one_prediction
from pushforward.processes.reading import AffineReading, Reading
from pushforward.processes.thinning import Missing, MissingReading, Thinning
from pushforward.protocols import Distribution, Time
from pushforward.schedules import Schedule
from pushforward.spaces import PointCloud, Points
from pushforward.state import EventShape

__all__ = ["JumpDiffusion", "PointPrediction"]


class PointPrediction(NamedTuple):
    """What was lost of a point set: which points are missing, and where the present ones were."""

    missing: Missing
    mean: Tensor
    """`E[x_0 | x_t]` of each present point, `(B, slots, d)`."""


@configurable
@dataclass(frozen=True)
class JumpDiffusion(GenerativeProcess[Points, Points, PointPrediction]):
    """Thinning and a Gaussian process side by side, each on its own schedule.

    A point of the data is noised like any vector for as long as it lives. Reversed, present points
    flow and new ones are born as noised draws of the distribution of a missing data point.

    >>> process = JumpDiffusion()
    >>> process.prior((4, 2)).sample(3).number
    tensor([0, 0, 0])
    """

    diffusion: Gaussian = field(default_factory=Gaussian)
    thinning: Thinning = field(default_factory=Thinning)

    sampler = "pinned"

    @property
    def space(self) -> PointCloud:  # type: ignore[override]
        """Point sets."""
        return self.thinning.space

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
        """Two outputs: the missing points, and `v` for the means of the present ones."""
        one_prediction("a jump diffusion", predict, "points")
        return _PointReading(AffineReading(self.diffusion.schedule, VPrediction()))

    def finish(
        self, pred: PointPrediction, x_t: Points, t: float, generator: torch.Generator | None = None
    ) -> Points:
        """Present points go to their posterior means, missing ones are born as data."""
        mean = pred.mean * x_t.mask.unsqueeze(-1)
        present = Points(mean.to(x_t.x), x_t.mask)
        return self.thinning.bridge(pred.missing, present, t, 0.0, generator=generator)

    def prior(self, shape: EventShape, t: float = 1.0) -> Constant:
        """The empty set, for event shapes `((slots, d), (slots,))`, or `(slots, d)` for short."""
        return self.thinning.prior(shape, t)

    def sample(self, z: Points, t: Time, generator: torch.Generator | None = None) -> Points:
        """Noise every point, delete some."""
        moved = Points(self.diffusion.sample(z.x, t, generator), z.mask)
        return _blank(self.thinning.sample(moved, t, generator))

    def loss(self, pred: PointPrediction, z: Points, x_t: Points, t: Time) -> Tensor:
        """The loss of thinning plus the squared error of the present points, summed, `(B,)`."""
        error = (pred.mean - z.x).square().sum(-1) * x_t.mask
        return self.thinning.loss(pred.missing, z, x_t, t) + error.sum(-1)

    def dynamics(self, pred: PointPrediction, x_t: Points, t: Time) -> Split:
        """Motion of the present points, then births and deaths."""
        flow = self.diffusion.dynamics(pred.mean, x_t.x, t)
        missing = pred.missing._replace(point=_Noised(pred.missing.point, self.diffusion, t))
        return Split((_OnPoints(flow), self.thinning.dynamics(missing, x_t, t)))

    def bridge(
        self,
        pred: PointPrediction,
        x_t: Points,
        t: float,
        s: float,
        churn: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Points:
        """The pinned kernels of both parts; newborn points arrive with the noise of time `s`."""
        moved = self.diffusion.bridge(pred.mean, x_t.x, t, s, churn, generator)
        missing = pred.missing._replace(point=_Noised(pred.missing.point, self.diffusion, s))
        present = _blank(Points(moved, x_t.mask))
        return self.thinning.bridge(missing, present, t, s, churn, generator)

    def tabulate(self, grid: Sequence[float]) -> None:
        """Compute both schedules on a grid at once."""
        self.diffusion.tabulate(grid)
        self.thinning.tabulate(grid)


@dataclass(frozen=True)
class _PointReading(Reading[Points, PointPrediction]):
    """`PointPrediction` from two outputs."""

    present: AffineReading

    def at(self, t: Time) -> tuple[Time, Any]:
        """The time, and the row for the means of the present points."""
        return t, self.present.at(t)

    def time(self, row: tuple[Time, Any]) -> Time:
        """The time itself."""
        return row[0]

    def output_shape(self, event_shape: EventShape) -> EventShape:
        """What is missing, and a vector a slot."""
        return (MissingReading().output_shape(event_shape), event_shape[0])

    def read(self, row: tuple[Time, Any], output: Any, x_t: Points) -> PointPrediction:
        """Each output by its own reading."""
        missing = MissingReading().read(row[0], output[0], x_t)
        return PointPrediction(missing, self.present.read(row[1], output[1], x_t.x))


class _Noised(NamedTuple):
    """The distribution of a missing point as it would stand at time `t`."""

    point: Distribution
    diffusion: Gaussian
    t: Time

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        generator = resolve(seed) if generator is None else generator
        points = self.point.sample(n, generator=generator).transpose(0, 1)
        return self.diffusion.sample(points, self.t, generator).transpose(0, 1)

    def log_prob(self, x: Tensor) -> Tensor:
        raise CapabilityError("a missing point, noised, has no density in closed form")


class _OnPoints(NamedTuple):
    """A flow that moves the filled slots of a point set."""

    flow: Flow

    def advance(
        self, x: Points, h: float, churn: float = 0.0, generator: torch.Generator | None = None
    ) -> Points:
        return _blank(Points(self.flow.advance(x.x, h, churn, generator), x.mask))


def _blank(x: Points) -> Points:
    """Zeros in the empty slots."""
    return Points(x.x * x.mask.unsqueeze(-1), x.mask)
