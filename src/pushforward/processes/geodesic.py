"""Geodesics between coupled pairs on a manifold: Riemannian flow matching."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pushforward._shapes import like
from pushforward.config import configurable
from pushforward.distributions import ManifoldUniform, WrappedNormal
from pushforward.dynamics import Flow
from pushforward.errors import InputError
from pushforward.processes.process import GenerativeProcess, one_prediction
from pushforward.processes.reading import TangentReading
from pushforward.protocols import Distribution, Time
from pushforward.schedules import Rectified, Schedule
from pushforward.spaces import Manifold
from pushforward.times import ShiftedTimes, TimeDistribution

__all__ = ["Geodesic"]

_FEW = 3
"""Dimensions in which fine structure is looked for, as by `nn.suitable_frequencies`."""


@configurable
@dataclass(frozen=True)
class Geodesic(GenerativeProcess[Tensor, tuple[Tensor, Tensor], Tensor]):
    r"""`x_t` on the geodesic from `x_1` to `x_0`, the fraction `alpha_t` of the way (Chen & Lipman
    2024). The endpoint variable is the pair `(x_0, x_1)`; the prediction is the velocity.

    The uniform distribution is wide, and structure of a scale `s` in the data is left at times
    below about `s`, a share `s` of even ones. Near the data the error of a velocity counts like
    `dt / t`, as in the bound of the likelihood of a diffusion on the same path. The training times
    on spheres and rotations of up to three dimensions, whose data mostly have such structure, are
    between both: `ShiftedTimes(0.1)`, half of them below .09. Angles of tori, in `benchmarks/`
    smooth, are learned a little better by even times.

    Args:
        space: any manifold.
        schedule: whose `alpha` is the fraction of the way.
        std: of the wrapped normal distribution at the origin from which a space that is not bounded
            starts; the others start from their uniform distribution.

    >>> from pushforward.spaces import Torus
    >>> pair = torch.zeros(1, 1), torch.ones(1, 1)
    >>> Geodesic(Torus()).sample(pair, 0.25)
    tensor([[0.2500]])
    """

    space: Manifold
    schedule: Schedule = field(default_factory=Rectified)
    std: float = 1.0

    paired = True
    supports = frozenset({"guidance", "density"})

    @property
    def clock(self) -> Schedule:
        """The schedule."""
        return self.schedule

    @property
    def interval(self) -> tuple[float, float]:
        """All of it: the velocity is regular at both ends."""
        return 1.0, 0.0

    def times(self, event_shape: tuple[int, ...]) -> TimeDistribution:
        """More of them near the data, on spheres and rotations of few dimensions."""
        near = self.space.fine and self.space.dimension(event_shape) <= _FEW
        return ShiftedTimes(0.1) if near else super().times(event_shape)

    def reading(self, predict: Any = None) -> TangentReading:
        """A tangent vector."""
        one_prediction("geodesics", predict, "velocity")
        return TangentReading(self.space)

    def finish(
        self, pred: Tensor, x_t: Tensor, t: float, generator: torch.Generator | None = None
    ) -> Tensor:
        """The rest of the geodesic at once."""
        k = self.schedule.at(t)
        if not k.d_alpha:
            raise InputError(f"the clock {self.schedule} stands still at t = {t}")
        return self.space.exp(x_t, (1 - k.alpha) / k.d_alpha * pred)

    def prior(self, shape: tuple[int, ...], t: float = 1.0) -> Distribution[Tensor]:
        """The uniform distribution, or a wrapped normal one; for an independent coupling."""
        if self.space.compact:
            return ManifoldUniform(self.space, shape)
        return WrappedNormal(self.space.origin(shape), self.std, self.space)

    def sample(
        self, z: tuple[Tensor, Tensor], t: Time, generator: torch.Generator | None = None
    ) -> Tensor:
        """The point on the geodesic; nothing is random given the pair."""
        x0, x1 = z
        alpha, _ = self.schedule.values(t)
        return self.space.exp(x1, like(alpha, x0) * self.space.log(x1, x0))

    def loss(self, pred: Tensor, z: tuple[Tensor, Tensor], x_t: Tensor, t: Time) -> Tensor:
        """The squared tangent norm of the velocity error, `(B,)`."""
        return self.space.squared_norm(x_t, pred - self.velocity(z, x_t, t))

    def velocity(self, z: tuple[Tensor, Tensor], x_t: Tensor, t: Time) -> Tensor:
        """The velocity of the geodesic through the pair at `x_t`.

        `log(x_t, x_1) - log(x_t, x_0)` is the whole geodesic carried to `x_t`; written so, it is
        regular at both ends.
        """
        x0, x1 = z
        speed = -self.schedule.at(t).d_alpha
        return like(speed, x_t) * (self.space.log(x_t, x1) - self.space.log(x_t, x0))

    def dynamics(self, pred: Tensor, x_t: Tensor, t: Time) -> Flow:
        """The flow along the predicted velocity; there is no score."""
        return Flow(self.space, (pred,), (1.0,), None, 0.0)

    def tabulate(self, grid: Sequence[float]) -> None:
        """Compute the schedule on a grid at once."""
        self.schedule.tabulate(grid)
