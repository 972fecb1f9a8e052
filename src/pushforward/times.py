"""Distributions of training times: where along the path the model is asked to learn.

The clock is the `Schedule` of any process. Distributions over the log signal-to-noise ratio raise
`CapabilityError` for a clock that has none.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward import checks
from pushforward.config import configurable
from pushforward.errors import CapabilityError
from pushforward.schedules import Schedule, shift_time

__all__ = [
    "ImportanceTimes",
    "LogNormalTimes",
    "LogSNRTimes",
    "LogitNormalTimes",
    "ShiftedTimes",
    "StepTimes",
    "StratifiedTimes",
    "TimeDistribution",
    "UniformTimes",
]


class TimeDistribution(ABC):
    """A distribution on the interval `[clock.t_min, clock.t_max]`."""

    def sample(
        self,
        n: int,
        clock: Schedule,
        *,
        generator: torch.Generator | None = None,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Draw `n` training times, shape `(n,)`.

        >>> from pushforward.schedules import VP
        >>> UniformTimes().sample(2, VP(), generator=torch.Generator().manual_seed(0))
        tensor([0.4968, 0.7685])
        """
        uniform = torch.rand(n, generator=generator, device=device)
        return self.quantile(uniform, clock).clamp(clock.t_min, clock.t_max)

    @abstractmethod
    def quantile(self, u: Tensor, clock: Schedule) -> Tensor:
        """The times below which a fraction `u` of the training times falls, shaped like `u`."""

    def density(self, t: Tensor, clock: Schedule) -> Tensor:
        """The density at times inside the interval, shaped like `t`.

        Raises `CapabilityError` for a distribution without one.
        """
        raise CapabilityError(
            f"{type(self).__name__} has no density: uniform, log-snr, log-normal and logit-normal "
            "training times have one"
        )

    def weights(self, t: Tensor, clock: Schedule) -> Tensor | None:
        """What the loss at drawn times is multiplied by; `None` for one."""
        return None


@configurable
@dataclass(frozen=True)
class UniformTimes(TimeDistribution):
    """Every time equally often."""

    def quantile(self, u: Tensor, clock: Schedule) -> Tensor:
        return clock.t_min + (clock.t_max - clock.t_min) * u

    def density(self, t: Tensor, clock: Schedule) -> Tensor:
        return torch.full_like(t, 1 / (clock.t_max - clock.t_min))


@configurable
@dataclass(frozen=True)
class LogSNRTimes(TimeDistribution):
    r"""Uniform in the log signal-to-noise ratio: every factor of the noise as often.

    Under it the evidence bound is the plain squared error of the noise (Kingma & Gao 2023), so it
    is how to sample for the `likelihood` weight.
    """

    def quantile(self, u: Tensor, clock: Schedule) -> Tensor:
        first, last = clock.log_snr_range(clock.t_min, clock.t_max)
        return clock.time_at_log_snr(first + (last - first) * u)

    def density(self, t: Tensor, clock: Schedule) -> Tensor:
        first, last = clock.log_snr_range(clock.t_min, clock.t_max)
        return _speed(t, clock) / (first - last)


@configurable
@dataclass(frozen=True)
class LogitNormalTimes(TimeDistribution):
    r"""`logit t ~ N(mean, std^2)`: more weight on the middle of the path (Esser et al. 2024)."""

    mean: float = 0.0
    std: float = 1.0

    def __post_init__(self) -> None:
        checks.number("mean", self.mean)
        checks.positive("std", self.std)

    def quantile(self, u: Tensor, clock: Schedule) -> Tensor:
        return torch.sigmoid(self.mean + self.std * _normal_quantile(u))

    def density(self, t: Tensor, clock: Schedule) -> Tensor:
        return _normal_density((torch.logit(t) - self.mean) / self.std) / (self.std * t * (1 - t))


@configurable
@dataclass(frozen=True)
class LogNormalTimes(TimeDistribution):
    r"""`log(sigma_t / alpha_t) ~ N(mean, std^2)`, the noise levels of EDM (Karras et al. 2022)."""

    mean: float = -1.2
    std: float = 1.2

    def __post_init__(self) -> None:
        checks.number("mean", self.mean)
        checks.positive("std", self.std)

    def quantile(self, u: Tensor, clock: Schedule) -> Tensor:
        clock.log_snr_range(clock.t_min, clock.t_max)
        log_level = self.mean + self.std * _normal_quantile(u)
        return clock.time_at_log_snr(-2 * log_level)

    def density(self, t: Tensor, clock: Schedule) -> Tensor:
        level = (-0.5 * torch.as_tensor(clock.log_snr(t)) - self.mean) / self.std
        return _normal_density(level) * 0.5 * _speed(t, clock) / self.std


@configurable
@dataclass(frozen=True)
class StepTimes(TimeDistribution):
    """The times `k / steps` of a chain with that many steps, each equally often.

    >>> from pushforward.schedules import Chain
    >>> generator = torch.Generator().manual_seed(0)
    >>> StepTimes(4).sample(3, Chain((0.1, 0.2, 0.3, 0.4)), generator=generator)
    tensor([0.5000, 1.0000, 0.2500])
    """

    steps: int = 1000

    def __post_init__(self) -> None:
        checks.whole("steps", self.steps)

    def quantile(self, u: Tensor, clock: Schedule) -> Tensor:
        return (u * self.steps).floor().add(1).clamp(max=self.steps) / self.steps


@configurable
@dataclass(frozen=True)
class StratifiedTimes(TimeDistribution):
    r"""Another distribution, one draw in each of `n` equally likely strata.

    See Kingma et al. (2021, I.1). The times of a batch keep their distribution, but the
    batch covers the interval evenly: the same expected loss with less variance. They are shuffled,
    so that a time says nothing about its row.

    >>> from pushforward.schedules import VP
    >>> t = StratifiedTimes().sample(4, VP(), generator=torch.Generator().manual_seed(0))
    >>> (t.sort().values * 4).floor()
    tensor([0., 1., 2., 3.])
    """

    distribution: TimeDistribution = UniformTimes()

    def sample(
        self,
        n: int,
        clock: Schedule,
        *,
        generator: torch.Generator | None = None,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        jitter = torch.rand(n, generator=generator, device=device)
        order = torch.randperm(n, generator=generator, device=device)
        times = self.quantile((order + jitter) / n, clock)
        return times.clamp(clock.t_min, clock.t_max)

    def quantile(self, u: Tensor, clock: Schedule) -> Tensor:
        return self.distribution.quantile(u, clock)

    def density(self, t: Tensor, clock: Schedule) -> Tensor:
        return self.distribution.density(t, clock)

    def weights(self, t: Tensor, clock: Schedule) -> Tensor | None:
        return self.distribution.weights(t, clock)


@configurable
@dataclass(frozen=True)
class ImportanceTimes(TimeDistribution):
    r"""Times of another distribution, their loss divided by its density.

    The expected loss is then that of uniform times, but its variance is another one: least where
    the density follows the size of the loss (Song, Durkan, Murray & Ermon 2021, section 5.1).
    Any other distribution of times changes what is minimized; this one does not.
    """

    distribution: TimeDistribution = StratifiedTimes(LogSNRTimes())

    def sample(
        self,
        n: int,
        clock: Schedule,
        *,
        generator: torch.Generator | None = None,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        return self.distribution.sample(n, clock, generator=generator, device=device)

    def quantile(self, u: Tensor, clock: Schedule) -> Tensor:
        return self.distribution.quantile(u, clock)

    def density(self, t: Tensor, clock: Schedule) -> Tensor:
        return self.distribution.density(t, clock)

    def weights(self, t: Tensor, clock: Schedule) -> Tensor | None:
        """The density of uniform times over that of these."""
        return 1 / (self.distribution.density(t, clock) * (clock.t_max - clock.t_min))


@configurable
@dataclass(frozen=True)
class ShiftedTimes(TimeDistribution):
    r"""Times of another distribution under the timestep shift `t -> shift t / (1 + (shift - 1) t)`.

    More noise for larger images (Esser et al. 2024, eq. 23); a model trained with it is sampled on
    a `grids.ShiftedGrid` of as much. With `LogitNormalTimes`, it adds `log shift` to the mean.

    Args:
        shift: how much: 3 for Stable Diffusion 3; 1 changes nothing.
        distribution: the times that are shifted.

    >>> from pushforward.schedules import Rectified
    >>> u = torch.tensor([0.5])
    >>> ShiftedTimes(3.0).quantile(u, Rectified())
    tensor([0.7500])
    """

    shift: float = 3.0
    distribution: TimeDistribution = StratifiedTimes()

    def __post_init__(self) -> None:
        checks.positive("shift", self.shift)

    def sample(
        self,
        n: int,
        clock: Schedule,
        *,
        generator: torch.Generator | None = None,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        times = self.distribution.sample(n, clock, generator=generator, device=device)
        return shift_time(times, self.shift).clamp(clock.t_min, clock.t_max)

    def quantile(self, u: Tensor, clock: Schedule) -> Tensor:
        return shift_time(self.distribution.quantile(u, clock), self.shift)

    def density(self, t: Tensor, clock: Schedule) -> Tensor:
        before = shift_time(t, 1 / self.shift)
        slope = self.shift / (1 + (self.shift - 1) * before).square()
        return self.distribution.density(before, clock) / slope


def _speed(t: Tensor, clock: Schedule) -> Tensor:
    """How fast the log signal-to-noise ratio falls, `-d log SNR / dt`."""
    k: Any = clock.at(t)
    return 2 * (k.d_sigma / k.sigma - k.d_alpha / k.alpha)


def _normal_density(x: Tensor) -> Tensor:
    return torch.exp(-0.5 * x.square()) / math.sqrt(2 * math.pi)


def _normal_quantile(u: Tensor) -> Tensor:
    # Zero and one would give infinite times.
    tiny = torch.finfo(u.dtype).eps
    return math.sqrt(2.0) * torch.erfinv((2 * u - 1).clamp(-1 + tiny, 1 - tiny))
