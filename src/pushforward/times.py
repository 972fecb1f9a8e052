"""Laws of training times: where along the path the model is asked to learn."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward.config import configurable
from pushforward.errors import CapabilityError, InputError
from pushforward.schedules import Schedule

__all__ = [
    "Importance",
    "LogNormal",
    "LogSNR",
    "LogitNormal",
    "Steps",
    "Stratified",
    "TimeLaw",
    "Uniform",
]


class TimeLaw(ABC):
    """A law on the interval `[schedule.t_min, schedule.t_max]`."""

    def sample(
        self,
        n: int,
        schedule: Schedule,
        *,
        generator: torch.Generator | None = None,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Draw `n` training times, shape `(n,)`.

        >>> from pushforward.schedules import VP
        >>> Uniform().sample(2, VP(), generator=torch.Generator().manual_seed(0))
        tensor([0.4968, 0.7685])
        """
        uniform = torch.rand(n, generator=generator, device=device)
        return self.quantile(uniform, schedule).clamp(schedule.t_min, schedule.t_max)

    @abstractmethod
    def quantile(self, u: Tensor, schedule: Schedule) -> Tensor:
        """The times below which a fraction `u` of the training times falls, shaped like `u`."""

    def density(self, t: Tensor, schedule: Schedule) -> Tensor:
        """The density at times inside the interval, shaped like `t`.

        Raises `CapabilityError` for a law without one.
        """
        raise CapabilityError(
            f"{type(self).__name__} has no density: uniform, log-snr, log-normal and logit-normal "
            "training times have one"
        )

    def weights(self, t: Tensor, schedule: Schedule) -> Tensor | None:
        """What the loss at drawn times is multiplied by; `None` for one."""
        return None


@configurable
@dataclass(frozen=True)
class Uniform(TimeLaw):
    """Every time equally often."""

    def quantile(self, u: Tensor, schedule: Schedule) -> Tensor:
        return schedule.t_min + (schedule.t_max - schedule.t_min) * u

    def density(self, t: Tensor, schedule: Schedule) -> Tensor:
        return torch.full_like(t, 1 / (schedule.t_max - schedule.t_min))


@configurable
@dataclass(frozen=True)
class LogSNR(TimeLaw):
    r"""Uniform in the log signal-to-noise ratio: every order of magnitude of the noise as often.

    Under it the evidence bound is the plain squared error of the noise (Kingma & Gao 2023), so it
    is the law by which to sample for the `likelihood` weight.
    """

    def quantile(self, u: Tensor, schedule: Schedule) -> Tensor:
        first, last = (float(schedule.log_snr(t)) for t in (schedule.t_min, schedule.t_max))
        return schedule.time_at_log_snr(first + (last - first) * u)

    def density(self, t: Tensor, schedule: Schedule) -> Tensor:
        first, last = (float(schedule.log_snr(t)) for t in (schedule.t_min, schedule.t_max))
        return _speed(t, schedule) / (first - last)


@configurable
@dataclass(frozen=True)
class LogitNormal(TimeLaw):
    r"""`logit t ~ N(mean, std^2)`: more weight on the middle of the path (Esser et al. 2024)."""

    mean: float = 0.0
    std: float = 1.0

    def __post_init__(self) -> None:
        _check(self.mean, self.std)

    def quantile(self, u: Tensor, schedule: Schedule) -> Tensor:
        return torch.sigmoid(self.mean + self.std * _normal_quantile(u))

    def density(self, t: Tensor, schedule: Schedule) -> Tensor:
        return _normal_density((torch.logit(t) - self.mean) / self.std) / (self.std * t * (1 - t))


@configurable
@dataclass(frozen=True)
class LogNormal(TimeLaw):
    r"""`log(sigma_t / alpha_t) ~ N(mean, std^2)`, the noise levels of EDM (Karras et al. 2022)."""

    mean: float = -1.2
    std: float = 1.2

    def __post_init__(self) -> None:
        _check(self.mean, self.std)

    def quantile(self, u: Tensor, schedule: Schedule) -> Tensor:
        log_level = self.mean + self.std * _normal_quantile(u)
        return schedule.time_at_log_snr(-2 * log_level)

    def density(self, t: Tensor, schedule: Schedule) -> Tensor:
        level = (-0.5 * torch.as_tensor(schedule.log_snr(t)) - self.mean) / self.std
        return _normal_density(level) * 0.5 * _speed(t, schedule) / self.std


@configurable
@dataclass(frozen=True)
class Steps(TimeLaw):
    """The times `k / steps` of a chain with that many steps, each equally often.

    >>> from pushforward.schedules import Chain
    >>> generator = torch.Generator().manual_seed(0)
    >>> Steps(4).sample(3, Chain((0.1, 0.2, 0.3, 0.4)), generator=generator)
    tensor([0.5000, 1.0000, 0.2500])
    """

    steps: int = 1000

    def __post_init__(self) -> None:
        if isinstance(self.steps, bool) or not isinstance(self.steps, int) or self.steps < 1:
            raise InputError(f"steps is a whole number, at least one, not {self.steps!r}")

    def quantile(self, u: Tensor, schedule: Schedule) -> Tensor:
        return (u * self.steps).floor().add(1).clamp(max=self.steps) / self.steps


@configurable
@dataclass(frozen=True)
class Stratified(TimeLaw):
    r"""Another law, with one draw in each of `n` equally likely strata (Kingma et al. 2021, I.1).

    The times of a batch keep their law, but the batch covers the interval evenly: the same expected
    loss with less variance. The order is shuffled so that a time says nothing about its row.

    >>> from pushforward.schedules import VP
    >>> t = Stratified().sample(4, VP(), generator=torch.Generator().manual_seed(0))
    >>> (t.sort().values * 4).floor()
    tensor([0., 1., 2., 3.])
    """

    law: TimeLaw = Uniform()

    def sample(
        self,
        n: int,
        schedule: Schedule,
        *,
        generator: torch.Generator | None = None,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        jitter = torch.rand(n, generator=generator, device=device)
        order = torch.randperm(n, generator=generator, device=device)
        times = self.quantile((order + jitter) / n, schedule)
        return times.clamp(schedule.t_min, schedule.t_max)

    def quantile(self, u: Tensor, schedule: Schedule) -> Tensor:
        return self.law.quantile(u, schedule)

    def density(self, t: Tensor, schedule: Schedule) -> Tensor:
        return self.law.density(t, schedule)

    def weights(self, t: Tensor, schedule: Schedule) -> Tensor | None:
        return self.law.weights(t, schedule)


@configurable
@dataclass(frozen=True)
class Importance(TimeLaw):
    r"""Times of another law, their loss divided by its density.

    The expected loss is then that of uniform times, but its variance is another one: least where
    the density follows the size of the loss (Song et al. 2021b, section 5.1). Any other law of
    times changes what is minimized; this one does not.
    """

    law: TimeLaw = Stratified(LogSNR())

    def sample(
        self,
        n: int,
        schedule: Schedule,
        *,
        generator: torch.Generator | None = None,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        return self.law.sample(n, schedule, generator=generator, device=device)

    def quantile(self, u: Tensor, schedule: Schedule) -> Tensor:
        return self.law.quantile(u, schedule)

    def density(self, t: Tensor, schedule: Schedule) -> Tensor:
        return self.law.density(t, schedule)

    def weights(self, t: Tensor, schedule: Schedule) -> Tensor | None:
        """The density of uniform times over that of the law."""
        return 1 / (self.law.density(t, schedule) * (schedule.t_max - schedule.t_min))


def _speed(t: Tensor, schedule: Schedule) -> Tensor:
    """How fast the log signal-to-noise ratio falls, `-d log SNR / dt`."""
    k: Any = schedule.at(t)
    return 2 * (k.d_sigma / k.sigma - k.d_alpha / k.alpha)


def _normal_density(x: Tensor) -> Tensor:
    return torch.exp(-0.5 * x.square()) / math.sqrt(2 * math.pi)


def _normal_quantile(u: Tensor) -> Tensor:
    # Zero and one would give infinite times.
    tiny = torch.finfo(u.dtype).eps
    return math.sqrt(2.0) * torch.erfinv((2 * u - 1).clamp(-1 + tiny, 1 - tiny))


def _check(mean: float, std: float) -> None:
    if not (math.isfinite(mean) and 0 < std < math.inf):
        raise InputError(
            f"training times need a finite mean and a positive std, not {mean} and {std}"
        )
