"""Laws of training times: where along the path the model is asked to learn."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.schedules import Schedule

__all__ = ["NAMES", "LogNormal", "LogitNormal", "Stratified", "TimeLaw", "Uniform"]


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


@configurable
@dataclass(frozen=True)
class Uniform(TimeLaw):
    """Every time equally often."""

    def quantile(self, u: Tensor, schedule: Schedule) -> Tensor:
        return schedule.t_min + (schedule.t_max - schedule.t_min) * u


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


def _normal_quantile(u: Tensor) -> Tensor:
    # Zero and one would give infinite times.
    tiny = torch.finfo(u.dtype).eps
    return math.sqrt(2.0) * torch.erfinv((2 * u - 1).clamp(-1 + tiny, 1 - tiny))


def _check(mean: float, std: float) -> None:
    if not (math.isfinite(mean) and 0 < std < math.inf):
        raise InputError(
            f"training times need a finite mean and a positive std, not {mean} and {std}"
        )


NAMES: dict[str, type[TimeLaw]] = {
    "uniform": Uniform,
    "stratified": Stratified,
    "logit-normal": LogitNormal,
    "log-normal": LogNormal,
}
