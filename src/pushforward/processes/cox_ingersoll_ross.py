"""The Cox-Ingersoll-Ross diffusion of positive vectors, from data to gamma distributions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pushforward._bessel import bessel_ratio
from pushforward._draws import log_gamma_draw, poisson
from pushforward._precision import in_double, times_in_double
from pushforward._shapes import like, per_event_mean
from pushforward.config import configurable
from pushforward.distributions import GammaProduct
from pushforward.dynamics import ReversibleFlow
from pushforward.errors import InputError
from pushforward.processes._reversible import (
    check_schedule,
    concentrations,
    counted_scale,
    signal,
)
from pushforward.processes.process import GenerativeProcess, one_prediction
from pushforward.processes.reading import Reading
from pushforward.protocols import Time
from pushforward.schedules import VP, Schedule
from pushforward.spaces import Orthant

__all__ = ["CoxIngersollRoss"]


@configurable
@dataclass(frozen=True)
class CoxIngersollRoss(GenerativeProcess[Tensor, Tensor, Tensor]):
    r"""`dy = beta (a - y) dt + sqrt(2 beta y) dW` in each coordinate (Cox, Ingersoll & Ross 1985).

    It forgets the data towards independent gamma numbers of concentration `a`, whose shares are
    Dirichlet: the Dirichlet diffusion of Richemond, Dieleman & Doucet (2022). With the schedule's
    `alpha^2 = exp(-int beta)`, `sigma^2 = 1 - alpha^2` and their ratio `lambda`, the transition is
    exact, a mixture of gamma distributions over a Poisson number,

        n ~ Poisson(lambda y_0),    y_t = sigma^2 Gamma(a + n),

    a noncentral chi-square distribution of `2 a` degrees of freedom, with the mean
    `a + alpha^2 (y_0 - a)`. The prediction is `E[n | y_t] - lambda y_t`, which is `y` times the
    score relative to the stationary distribution; given `y_0` it is a ratio of Bessel functions.

    Args:
        concentration: `a`, one for all coordinates or one each.
        space: positive vectors.
        schedule: variance preserving.

    Raises `InputError` for concentrations that are not positive, or another schedule.

    >>> process = CoxIngersollRoss(2.0)
    >>> process.sample(torch.ones(2, 3), 0.5, torch.Generator().manual_seed(0)).shape
    torch.Size([2, 3])
    """

    concentration: float | tuple[float, ...] = 1.0
    space: Orthant = field(default_factory=Orthant)
    schedule: Schedule = field(default_factory=VP)

    def __post_init__(self) -> None:
        object.__setattr__(self, "concentration", concentrations(self.concentration))
        check_schedule(self.schedule)

    supports = frozenset({"guidance", "density"})
    sampler = "heun"
    grid = "uniform"
    steps = 60

    @property
    def clock(self) -> Schedule:
        """The schedule."""
        return self.schedule

    def reading(self, predict: Any = None) -> Reading[Tensor, Tensor]:
        """The root of the state times the output, of unit size at every time."""
        one_prediction("the Cox-Ingersoll-Ross diffusion", predict, "counts")
        return _CountReading(self.schedule)

    def prior(self, shape: tuple[int, ...], t: float = 1.0) -> GammaProduct:
        """The stationary distribution."""
        return GammaProduct(self._concentration(torch.zeros(1, *shape))[0])

    def sample(self, z: Tensor, t: Time, generator: torch.Generator | None = None) -> Tensor:
        """A scaled noncentral chi-square number for each coordinate, exactly."""
        ratio, share = signal(self.schedule, t, z)
        n = poisson(like(ratio, z) * in_double(z), generator)
        drawn = log_gamma_draw(self._concentration(n) + n, generator).exp()
        least = torch.finfo(z.dtype).tiny
        return (like(share, drawn) * drawn).to(z).clamp_min(least)

    def log_transition(self, x_t: Tensor, z: Tensor, t: Time) -> Tensor:
        """The log-density of `sample`, `(B,)`, as a sum over the Poisson number."""
        ratio, share = signal(self.schedule, t, x_t)
        y, start = in_double(x_t), in_double(z)
        a, s = self._concentration(y), torch.as_tensor(like(share, y))
        rate, scaled = like(ratio, y) * start, y / s
        _, log_bessel = bessel_ratio(rate * scaled, a)
        # Gamma(a) times the series of the Bessel function is one at zero.
        logs = -rate + (a - 1) * scaled.log() - scaled - torch.lgamma(a) - torch.log(s) + log_bessel
        return logs.flatten(1).sum(1)

    def conditional(self, x_t: Tensor, z: Tensor, t: Time) -> Tensor:
        """The right prediction given the data, `E[n | y_t, y_0] - lambda y_t`."""
        ratio, share = signal(self.schedule, t, x_t)
        y = in_double(x_t)
        product = like(ratio, y) * in_double(z) * y / like(share, y)
        expected, _ = bessel_ratio(product, self._concentration(y))
        return (expected - like(ratio, y) * y).to(x_t)

    def loss(self, pred: Tensor, z: Tensor, x_t: Tensor, t: Time) -> Tensor:
        """Denoising score matching in the metric of the diffusion, per dimension, `(B,)`."""
        scale = like(counted_scale(self.schedule, t, x_t), x_t)
        error = (pred - self.conditional(x_t, z, t)) / scale
        return per_event_mean(error.square() / x_t.clamp_min(torch.finfo(x_t.dtype).tiny))

    def dynamics(self, pred: Tensor, x_t: Tensor, t: Time) -> ReversibleFlow:
        """The diffusion is reversible: flow and reversal follow from the prediction."""
        g2 = 2 * self.schedule.at(t).g2
        return ReversibleFlow(
            self.space, (pred,), (-0.5 * g2,), None, g2,
            drift=0.5 * (self._concentration(x_t) - in_double(x_t)).to(x_t),
            root=lambda noise: x_t.clamp_min(0).sqrt() * noise,
        )  # fmt: skip

    def finish(
        self, pred: Tensor, x_t: Tensor, t: float, generator: torch.Generator | None = None
    ) -> Tensor:
        """`y + 2 pred / lambda`, near the posterior mean where little noise is left."""
        ratio, _ = signal(self.schedule, t, x_t)
        return self.space.nearest(x_t + 2 * pred / like(ratio.to(x_t), x_t))

    def tabulate(self, grid: Sequence[float]) -> None:
        """Compute the schedule on a grid at once."""
        self.schedule.tabulate(grid)

    def _concentration(self, x: Tensor) -> Tensor:
        """`a` for each coordinate of a batch, in double precision."""
        found = times_in_double(self.concentration, x)
        if found.ndim and found.shape != x.shape[-1:]:
            raise InputError(f"{len(found)} concentrations do not fit states of {x.shape[-1]}")
        return found.expand(x.shape)


@dataclass(frozen=True)
class _CountReading(Reading[Tensor, Tensor]):
    """`sqrt(y)` times the output, scaled with the time."""

    schedule: Schedule

    def output_shape(self, event_shape: Any) -> Any:
        """That of the state."""
        return event_shape

    def read(self, row: Time, output: Tensor, x_t: Tensor) -> Tensor:
        """The prediction."""
        scale = like(counted_scale(self.schedule, row, x_t), x_t)
        return scale * x_t.clamp_min(0).sqrt() * output
