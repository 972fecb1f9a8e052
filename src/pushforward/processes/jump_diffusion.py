"""Point sets that diffuse while their points are deleted (Campbell et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward.config import configurable
from pushforward.distributions import Constant
from pushforward.dynamics import Flow, Split
from pushforward.errors import CapabilityError
from pushforward.processes.gaussian import Gaussian
from pushforward.processes.thinning import Missing, PointLaw, Thinning
from pushforward.protocols import Time
from pushforward.spaces import Points

__all__ = ["JumpDiffusion", "PointPrediction"]


class PointPrediction(NamedTuple):
    """What was lost of a point set: which points are missing, and where the present ones were."""

    missing: Missing
    mean: Tensor
    """`E[x_0 | x_t]` of each present point, `(B, slots, d)`."""


@configurable
@dataclass(frozen=True)
class JumpDiffusion:
    """Thinning and a Gaussian process side by side, each on its own schedule.

    A point of the data is noised like any vector for as long as it lives. Reversed, present points
    flow and new ones are born as noised draws of the law of a missing data point.

    >>> process = JumpDiffusion()
    >>> process.prior((4, 2)).sample(3).number
    tensor([0, 0, 0])
    """

    diffusion: Gaussian = field(default_factory=Gaussian)
    thinning: Thinning = field(default_factory=Thinning)

    def prior(self, shape: tuple[int, ...]) -> Constant:
        """The empty set, with `shape = (slots, d)`."""
        return self.thinning.prior(shape)

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
        missing = pred.missing._replace(law=_Noised(pred.missing.law, self.diffusion, t))
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
        missing = pred.missing._replace(law=_Noised(pred.missing.law, self.diffusion, s))
        present = _blank(Points(moved, x_t.mask))
        return self.thinning.bridge(missing, present, t, s, churn, generator)

    def tabulate(self, grid: Sequence[float]) -> None:
        """Compute both schedules on a grid at once."""
        self.diffusion.tabulate(grid)
        self.thinning.tabulate(grid)


class _Noised(NamedTuple):
    """The law of a missing point as it would stand at time `t`."""

    law: PointLaw
    diffusion: Gaussian
    t: Time

    def draw(self, shape: tuple[int, int], generator: torch.Generator | None) -> Tensor:
        return self.diffusion.sample(self.law.draw(shape, generator), self.t, generator)

    def log_prob(self, x: Tensor) -> Tensor:
        raise CapabilityError("the noised law of a missing point has no density in closed form")


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
