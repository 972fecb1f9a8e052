r"""The Gaussian process `x_t = alpha_t x_0 + sigma_t noise`, on vectors and on functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pushforward import registry
from pushforward._precision import widest
from pushforward._shapes import Weight, combine, per_event_sum
from pushforward.config import configurable
from pushforward.distributions import Normal
from pushforward.dynamics import Flow, FlowWeights
from pushforward.errors import CapabilityError, InputError
from pushforward.processes.process import GenerativeProcess
from pushforward.processes.reading import AffineReading
from pushforward.protocols import Time
from pushforward.schedules import VP, Coefficients, Schedule
from pushforward.spaces import Euclidean, LinearSpace

__all__ = ["Gaussian", "Kernel"]


_REACHED = 0.01
"""The largest variance of the signal at the prior, over that of the noise."""


class Kernel(NamedTuple):
    """A Gaussian step, `x_s ~ N(keep x_t + gain z, std^2)`, from time `t`; no noise if `None`.

    Given the endpoint `z = x_0`, or with a prediction of it in its place.
    """

    t: Time
    keep: Weight
    gain: Weight
    std: Weight | None


@configurable
@dataclass(frozen=True)
class Gaussian(GenerativeProcess[Tensor, Tensor, Tensor]):
    r"""Noise added along a schedule; the space says what noise is.

    The canonical prediction is the posterior mean `E[x_0 | x_t]`, from which

        velocity = (sigma'/sigma) x + (alpha' - alpha sigma'/sigma) E[x_0 | x_t],
        score    = (alpha E[x_0 | x_t] - x) / sigma^2,

    the score preconditioned by the noise covariance on a `Hilbert` space.

    >>> process = Gaussian(VP())
    >>> process.sample(torch.zeros(2, 3), 0.5, torch.Generator().manual_seed(0)).shape
    torch.Size([2, 3])
    """

    schedule: Schedule = field(default_factory=VP)
    space: LinearSpace = field(default_factory=Euclidean)

    supports = frozenset({"density", "bound", "guidance", "denoised"})
    sampler = "adams"
    grid = "log-snr"
    steps = 20

    @property
    def clock(self) -> Schedule:
        """The schedule."""
        return self.schedule

    def reading(self, predict: Any = None) -> AffineReading:
        """By an affine table of `pushforward.parametrizations`, `v` by default."""
        table = registry.resolve("predictions", "v" if predict is None else predict)
        return AffineReading(self.schedule, table, self.space)

    def doubts(self, x: Tensor) -> list[str]:
        """Whether the prior is far from what the process makes of data."""
        alpha, sigma = self.schedule.values(self.schedule.t_max)
        left = float(alpha) ** 2 * float(x.square().nanmean()) / float(sigma) ** 2
        if left <= _REACHED:
            return []
        return [
            f"The prior is not reached: at the end of {self.schedule} the signal still has "
            f"{left:.1%} of the variance of the noise, but sampling starts from noise alone. Take "
            "a longer horizon, a larger beta_max or sigma_max, or standardize the data."
        ]

    def finish(
        self, pred: Tensor, x_t: Tensor, t: float, generator: torch.Generator | None = None
    ) -> Tensor:
        """The posterior mean."""
        return pred

    def prior(self, shape: tuple[int, ...], t: float = 1.0) -> Normal:
        """`N(0, sigma_t^2)`, white or colored like the noise of the space.

        A grid that starts before 1 starts from the prior of its own first time.
        """
        return Normal(shape, float(self.schedule.at(t).sigma), self.space)

    def sample(self, z: Tensor, t: Time, generator: torch.Generator | None = None) -> Tensor:
        """`alpha_t z + sigma_t noise`."""
        return combine(self.schedule.values(t), (z, self.space.randn(z, generator)))

    def loss(self, pred: Tensor, z: Tensor, x_t: Tensor, t: Time) -> Tensor:
        """The squared error of the posterior mean, per dimension, `(B,)`."""
        return self.space.squared_norm(x_t, pred - z)

    def prior_cost(self, z: Tensor, t: float) -> Tensor:
        """`alpha^2 |z|^2 / (2 sigma^2)`, for white noise, `(B,)`."""
        k = self._white(t)
        return 0.5 * per_event_sum(z.to(widest(z.device)).square()) * (k.alpha / k.sigma) ** 2

    def cost_rate(self, pred: Tensor, z: Tensor, x_t: Tensor, t: Time) -> Tensor:
        """`-(1/2) (alpha^2 / sigma^2)' |pred - z|^2` (Kingma et al. 2021), for white noise."""
        k = self._white(t)
        rate = (k.alpha / k.sigma) ** 2 * (k.d_sigma / k.sigma - k.d_alpha / k.alpha)
        return rate * per_event_sum((pred - z).to(widest(z.device)).square())

    def data_cost(self, pred: Tensor, z: Tensor, x_t: Tensor, t: float) -> Tensor:
        """Minus the log-density of `N(pred, sigma^2 / alpha^2)`, for white noise."""
        k = self._white(t)
        scale = k.sigma / k.alpha
        each = 0.5 * ((pred - z).to(widest(z.device)) / scale).square() + math.log(
            scale * math.sqrt(2 * math.pi)
        )
        return per_event_sum(each)

    def _white(self, t: Time) -> Any:
        """The coefficients at a time. Raises `CapabilityError` for colored noise."""
        if not self.space.white:
            raise CapabilityError(
                "a bound by the reversal is that of white noise, not of "
                f"{type(self.space).__name__}"
            )
        return self._noisy(t)

    def dynamics(self, pred: Tensor, x_t: Tensor, t: Time) -> Flow:
        """The probability flow and score that the prediction implies.

        Raises `InputError` at `t = 0`, where there is no noise and no score.
        """
        return self.flow(pred, x_t, self.flow_weights(t))

    def flow_weights(self, t: Time) -> FlowWeights:
        """What `dynamics` needs of the time, for samplers that compute it before their loop."""
        k = self._noisy(t)
        ratio = k.d_sigma / k.sigma
        precision = 1 / k.sigma**2
        return FlowWeights(
            velocity=(ratio, k.d_alpha - k.alpha * ratio),
            score=(-precision, k.alpha * precision),
            g2=k.g2,
        )

    def flow(self, pred: Tensor, x_t: Tensor, weights: FlowWeights) -> Flow:
        """The `dynamics` at the time of some `weights`."""
        return Flow(self.space, (x_t, pred), *weights)

    def transition(self, s: float, t: float) -> Kernel:
        r"""The forward kernel from `s` to a later `t`, with no endpoint in it (`gain = 0`).

        `x_t ~ N((alpha_t / alpha_s) x_s, sigma_t^2 - (alpha_t / alpha_s)^2 sigma_s^2)`; on a
        `schedules.Chain`, between neighbors, `N(sqrt(1 - beta_k) x, beta_k)`. Raises `InputError`
        unless `s < t`.

        >>> from pushforward.schedules import Chain
        >>> kernel = Gaussian(Chain((0.19, 0.36))).transition(0.5, 1.0)
        >>> round(kernel.keep, 6), round(kernel.std, 6)
        (0.8, 0.6)
        """
        if not s < t:
            raise InputError(f"a transition runs towards the noise, not from {s} to {t}")
        then, now = self.schedule.at(s), self.schedule.at(t)
        keep = now.alpha / then.alpha
        variance = max(now.sigma**2 - (keep * then.sigma) ** 2, 0.0)
        return Kernel(s, keep, 0.0, math.sqrt(variance) if variance else None)

    def pinned(self, t: float, s: float, churn: float = 1.0) -> Kernel:
        r"""The kernel from `t` to `s < t` given `x_0`, DDPM at `churn = 1` and DDIM at `churn = 0`.

        With `v = sigma_s^2 (1 - (alpha_t sigma_s / (alpha_s sigma_t))^2)`, the variance of `x_s`
        given `x_t` and `x_0`,

            x_s = alpha_s x_0 + sqrt(sigma_s^2 - churn v) (x_t - alpha_t x_0) / sigma_t
                  + sqrt(churn v) noise

        (Song, Meng & Ermon 2021, eq. 12, with `eta^2 = churn`; Ho et al. 2020). Without churn it
        also goes towards the noise, `s > t`: DDIM inversion. Raises `InputError` unless `churn`
        lies in [0, 1], or for churn on the way to the noise.
        """
        if not 0 <= churn <= 1:
            raise InputError(f"a pinned step takes churn in [0, 1], not {churn}")
        if s == t or (s > t and churn):
            raise InputError(
                f"a pinned step runs towards the data, not from {t} to {s}: without churn (DDIM) "
                "it runs towards the noise too"
            )
        now, then = self._noisy(t), self.schedule.at(s)
        decay = now.alpha * then.sigma / (then.alpha * now.sigma)
        variance = churn * then.sigma**2 * max(1 - decay**2, 0.0)
        keep = math.sqrt(max(then.sigma**2 - variance, 0.0)) / now.sigma
        gain = then.alpha - keep * now.alpha
        return Kernel(t, keep, gain, math.sqrt(variance) if variance else None)

    def draw(
        self,
        kernel: Kernel,
        x: Tensor,
        pred: Tensor,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """A draw of a kernel from a state `(B, *event)` and a prediction."""
        weights: tuple[Weight, ...] = kernel[1:3]
        if kernel.std is None:
            return combine(weights, (x, pred))
        noise = self.space.randn(x, generator)
        return combine((*weights, kernel.std), (x, pred, noise))

    def bridge(
        self,
        pred: Tensor,
        x_t: Tensor,
        t: float,
        s: float,
        churn: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """A draw of the `pinned` kernel from `t` to `s`."""
        return self.draw(self.pinned(t, s, churn), x_t, pred, generator)

    def tabulate(self, grid: Sequence[float]) -> None:
        """Compute the schedule on a grid at once."""
        self.schedule.tabulate(grid)

    def _noisy(self, t: Time) -> Coefficients:
        k = self.schedule.at(t)
        if isinstance(k.sigma, float) and k.sigma == 0:
            raise InputError(f"no noise at t = {t}, so no score: stop at {self.schedule.t_min}")
        return k
