"""A stochastic interpolant from a known point to the data: what comes next, given what is there."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pushforward import checks
from pushforward._shapes import combine
from pushforward.config import configurable
from pushforward.dynamics import Flow
from pushforward.errors import CapabilityError
from pushforward.processes.path import MARGIN, Pair, inside
from pushforward.processes.process import GenerativeProcess, one_prediction
from pushforward.processes.reading import Reading
from pushforward.protocols import Time
from pushforward.schedules import Rectified, Schedule
from pushforward.spaces import Euclidean, LinearSpace
from pushforward.state import EventShape

__all__ = ["PointInterpolant"]


class _Clock(Rectified):
    """Linear in time, up to the point itself."""

    t_min, t_max = MARGIN, 1.0


_CLOCK = _Clock()


class _DriftReading(Reading[Tensor, Tensor]):
    """The output is the drift towards the data, and `x_t + t` times it the data expected."""

    def __init__(self, space: LinearSpace) -> None:
        self.space = space

    def output_shape(self, event_shape: EventShape) -> EventShape:
        """That of the state."""
        return event_shape

    def read(self, row: Any, output: Tensor, x_t: Tensor) -> Tensor:
        """`E[x_0 | x_t, x_1]`."""
        if self.space.subspace:
            output = self.space.project(x_t, output)
        return combine((1.0, row), (x_t, output))


@configurable
@dataclass(frozen=True)
class PointInterpolant(GenerativeProcess[Tensor, Pair, Pair]):
    r"""`x_t = (1 - t) x_0 + t x_1 + gamma_t noise` with `gamma_t = sigma t sqrt(1 - t)`, from a
    point `x_1` that is known.

    The interpolant of Chen et al. (2024), whose noise `sigma (1 - s) W_s` is that of a Wiener
    process in `s = 1 - t`, so that a path may start at a point: given `x_1`, the SDE

        dx = (E[x_0 | x_t, x_1] - x) / (1 - s) ds + sigma (1 - s) dW

    ends in `p(x_0 | x_1)`. The same marginal distributions have SDEs of any larger diffusion, with
    what the score adds to the drift,

        g_s^2 = sigma^2 (1 - s) ((1 - s) + 2 diffusion s),

    where `diffusion = 1` is the Föllmer process, whose paths have the least entropy relative to a
    Wiener process with that noise, and `0` the interpolant's own. It can be chosen after training.
    Steps are exact given `x_0`, `bridge`; the prediction is the pair `(E[x_0 | x_t, x_1], x_1)`.

    Args:
        sigma: of the noise, in the units of the states; `None` until it is fitted to data.
        diffusion: see above; not negative. More of it takes more steps.
        space: of the noise.

    Raises `InputError` for numbers out of range.

    >>> process = PointInterpolant(sigma=2.0)
    >>> ends = torch.tensor([[3.0]]), torch.tensor([[1.0]])
    >>> process.bridge(ends, ends[1], 1.0, 0.0)  # the data, at the end
    tensor([[3.]])
    """

    sigma: float | None = None
    diffusion: float = 0.0
    space: LinearSpace = field(default_factory=Euclidean)

    paired = True
    sampler = "ddpm"
    grid = "quadratic"
    steps = 20

    def __post_init__(self) -> None:
        if self.sigma is not None:
            checks.positive("sigma", self.sigma)
        checks.number("diffusion", self.diffusion, least=0)

    @property
    def clock(self) -> Schedule:
        """Linear, on the times that a network learns."""
        return _CLOCK

    @property
    def interval(self) -> tuple[float, float]:
        """All of it."""
        return 1.0, 0.0

    def prior(self, shape: Any, t: float = 1.0) -> Any:
        """Raises `CapabilityError`: it starts from a point that the context says."""
        raise CapabilityError("this interpolant starts from a point, which a context says")

    def reading(self, predict: Any = None) -> Reading[Tensor, Any]:
        """The output as the drift `E[x_0 - x_1 - sigma sqrt(s) noise | x_t, x_1]`."""
        one_prediction("an interpolant from a point", predict, "drift")
        return _DriftReading(self.space)

    def sample(self, z: Pair, t: Time, generator: torch.Generator | None = None) -> Tensor:
        """A point of the path from `z[1]` to `z[0]`."""
        noise = self.space.randn(z[0], generator)
        return combine((1 - t, t, self._gamma2(t) ** 0.5), (*z, noise))

    def loss(self, pred: Pair, z: Pair, x_t: Tensor, t: Time) -> Tensor:
        """The squared error of the drift, per dimension, `(B,)`."""
        return self.space.squared_norm(x_t, pred[0] - z[0]) / t**2

    def dynamics(self, pred: Pair, x_t: Tensor, t: Time) -> Flow:
        """Velocity and score, between the ends; at these as close as 0.001 to them.

        With `churn = 1` an Euler step has the drift and the diffusion of the SDE above.
        """
        t = inside(t)
        turn, precision = 1 / t - 0.5 / (1 - t), 1 / self._gamma2(t)
        scale: Any = self._scale
        return Flow(
            self.space,
            basis=(x_t, *pred),
            velocity_weights=(turn, -1 - turn * (1 - t), 1 - turn * t),
            score_weights=(-precision, (1 - t) * precision, t * precision),
            g2=scale**2 * t * (t + 2 * self.diffusion * (1 - t)),
        )

    def bridge(
        self,
        pred: Pair,
        x_t: Tensor,
        t: float,
        s: float,
        churn: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """A draw of `p(x_s | x_t, x_0, x_1)` for `s < t` under the SDE, with noise of `churn` times
        its variance: without any, after the first step, the steps are those of the ODE."""
        kept, fresh = self._kept(t, s, churn)
        weights = kept, (1 - s) - kept * (1 - t), s - kept * t
        mean = combine(weights, (x_t, *pred))
        if fresh <= 0:
            return mean
        return combine((1.0, math.sqrt(fresh)), (mean, self.space.randn(x_t, generator)))

    def bridge_gain(self, t: float, s: float, churn: float = 1.0) -> float:
        """The weight of `x_0` in that draw."""
        return (1 - s) - self._kept(t, s, churn)[0] * (1 - t)

    def tabulate(self, grid: Any) -> None:
        """Nothing: the coefficients are cheap."""

    def _kept(self, t: float, s: float, churn: float) -> tuple[float, float]:
        """How much of what a state is off its mean is left after a step, and the new variance."""
        here, there = self._gamma2(t), self._gamma2(s)
        if here == 0:
            return 0.0, there
        fresh = churn * (there - (s / t) ** (2 + 2 * self.diffusion) * here)
        return math.sqrt(max(there - fresh, 0.0) / here), fresh

    @property
    def _scale(self) -> float:
        if self.sigma is None:
            raise CapabilityError("the noise of this interpolant is not known yet: give sigma=")
        return self.sigma

    def _gamma2(self, t: Time) -> Any:
        return self._scale**2 * t**2 * (1 - t)
