"""Brownian motion on a manifold, from data to the uniform distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pushforward._shapes import like
from pushforward.config import configurable
from pushforward.distributions import ManifoldUniform
from pushforward.dynamics import Flow
from pushforward.errors import CapabilityError, InputError
from pushforward.processes.process import GenerativeProcess, one_prediction
from pushforward.processes.reading import TangentReading
from pushforward.protocols import Time
from pushforward.schedules import VE, Schedule
from pushforward.spaces import Manifold

__all__ = ["Brownian"]


@configurable
@dataclass(frozen=True)
class Brownian(GenerativeProcess[Tensor, Tensor, Tensor]):
    r"""`dx = g_t dB` on a compact manifold, with `sigma_t^2` the variance spent by time `t`.

    The canonical prediction is the score `grad log p_t(x_t)`, a tangent vector; the loss compares
    it with the score of the heat kernel from the data point (De Bortoli et al. 2022; Huang et
    al. 2022). The time reversal is `-g^2 score / 2` as a flow. The schedule's `alpha` must be one,
    and `sigma_1` a few units for the uniform prior to be reached. Raises `InputError` for another
    schedule, or a space that is not bounded, `CapabilityError` for one whose Brownian motion is not
    known.

    >>> from pushforward.spaces import Torus
    >>> process = Brownian(Torus())
    >>> process.sample(torch.zeros(2, 1), 0.5).shape
    torch.Size([2, 1])
    """

    space: Manifold
    schedule: Schedule = field(default_factory=lambda: VE(sigma_min=0.02, sigma_max=5.0))

    def __post_init__(self) -> None:
        if not self.space.compact:
            raise InputError(
                f"Brownian motion on {self.space}, which is not bounded, tends to no distribution: "
                "take processes.Geodesic, as path= of FlowMatching"
            )
        if self.space.no_heat:
            raise CapabilityError(self.space.no_heat)
        alpha = self.schedule.values(0.5)[0]
        if alpha != 1.0:
            raise InputError(
                f"Brownian motion keeps all of the data, but alpha is {alpha:.3g} halfway along "
                f"{self.schedule}: use schedules.VE"
            )

    supports = frozenset({"guidance", "density"})

    @property
    def clock(self) -> Schedule:
        """The schedule."""
        return self.schedule

    def reading(self, predict: Any = None) -> TangentReading:
        """A tangent vector over `sigma_t`."""
        one_prediction("Brownian motion", predict, "score")
        return TangentReading(self.space, self.schedule)

    def finish(
        self, pred: Tensor, x_t: Tensor, t: float, generator: torch.Generator | None = None
    ) -> Tensor:
        """Along the score by the variance that is left, as Tweedie's formula has it in R^d."""
        return self.space.exp(x_t, like(self._variance(x_t, t), x_t) * pred)

    def prior(self, shape: tuple[int, ...], t: float = 1.0) -> ManifoldUniform:
        """The uniform distribution."""
        return ManifoldUniform(self.space, shape)

    def sample(self, z: Tensor, t: Time, generator: torch.Generator | None = None) -> Tensor:
        """Brownian motion from `z`, exactly."""
        return self.space.diffuse(z, self._variance(z, t), generator)

    def loss(self, pred: Tensor, z: Tensor, x_t: Tensor, t: Time) -> Tensor:
        """Denoising score matching weighted by the variance, in the tangent norm, `(B,)`."""
        variance = self._variance(z, t)
        error = pred - self.space.heat_score(x_t, z, variance)
        return variance * self.space.squared_norm(x_t, error)

    def dynamics(self, pred: Tensor, x_t: Tensor, t: Time) -> Flow:
        """Pure diffusion, so the flow that has its marginals is `-g^2 score / 2`."""
        g2 = self.schedule.at(t).g2
        return Flow(self.space, (pred,), (-0.5 * g2,), (1.0,), g2)

    def tabulate(self, grid: Sequence[float]) -> None:
        """Compute the schedule on a grid at once."""
        self.schedule.tabulate(grid)

    def _variance(self, x: Tensor, t: Time) -> Tensor:
        _, sigma = self.schedule.values(t)
        return torch.as_tensor(sigma, dtype=x.dtype, device=x.device).square().expand(len(x))
