"""The schedules of the literature, on one clock."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.schedules.schedule import Schedule

__all__ = ["EDM", "OU", "VE", "VP", "Cosine", "Rectified", "SubVP"]


class _Formula(Schedule):
    """A schedule that numbers alone determine."""

    _remembers = True


@dataclass(frozen=True)
class _Linear(_Formula):
    """A rate `beta_t` that grows linearly from `beta_min` to `beta_max`."""

    beta_min: float = 0.1
    beta_max: float = 20.0

    def __post_init__(self) -> None:
        low, high = self.beta_min, self.beta_max
        if not 0 <= low <= high < math.inf or high == 0:
            raise InputError(
                f"{type(self).__name__} needs 0 <= beta_min <= beta_max, not {low} and {high}"
            )

    def _total(self, t: Tensor) -> Tensor:
        """`B_t`, the integral of the rate."""
        return t * (self.beta_min + 0.5 * (self.beta_max - self.beta_min) * t)

    def _time(self, total: Tensor) -> Tensor:
        """The time by which the rate has come to a total."""
        slope = self.beta_max - self.beta_min
        return 2 * total / (self.beta_min + torch.sqrt(self.beta_min**2 + 2 * slope * total))


@configurable
@dataclass(frozen=True)
class VP(_Linear):
    r"""Variance preserving with a linear rate (Song et al. 2021, eq. 32; Ho et al. 2020).

    `dx = -beta_t x / 2 dt + sqrt(beta_t) dW` with `beta_t` from `beta_min` to `beta_max`:
    `alpha_t = exp(-B_t / 2)`, `sigma_t^2 = 1 - exp(-B_t)`, `B_t` the integral of `beta`.

    >>> VP().at(1.0).alpha < 0.01
    True
    """

    preserves_variance = True

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        total = self._total(t)
        return torch.exp(-0.5 * total), torch.sqrt(-torch.expm1(-total))

    def _invert(self, log_snr: Tensor) -> Tensor:
        return self._time(-logsigmoid(log_snr))


@configurable
@dataclass(frozen=True)
class Cosine(_Formula):
    r"""Variance preserving along a quarter turn: `alpha = cos(pi t / 2)`, `sigma = sin(pi t / 2)`.

    The form of Nichol & Dhariwal (2021) without their offset, as in Salimans & Ho (2022).

    >>> round(Cosine().log_snr(0.5), 12)
    0.0
    """

    t_max = 1 - 1e-3
    preserves_variance = True

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        # The sine of the remaining angle is exactly zero at t = 1, the cosine is not.
        return torch.sin(0.5 * math.pi * (1 - t)), torch.sin(0.5 * math.pi * t)

    def _invert(self, log_snr: Tensor) -> Tensor:
        return torch.atan(_level(log_snr)) / (0.5 * math.pi)


@configurable
@dataclass(frozen=True)
class VE(_Formula):
    r"""Variance exploding, geometric (Song et al. 2021, eq. 30): `alpha = 1` and
    `sigma_t^2 = sigma_min^2 ((sigma_max / sigma_min)^{2t} - 1)`.

    This is the exact kernel of their SDE; the often-quoted `sigma_min (sigma_max/sigma_min)^t`
    differs from it by the constant `sigma_min^2` and would leave noise at `t = 0`.

    >>> VE(sigma_max=10.0).at(0.0).sigma
    0.0
    """

    sigma_min: float = 0.01
    sigma_max: float = 50.0

    def __post_init__(self) -> None:
        if not 0 < self.sigma_min < self.sigma_max < math.inf:
            raise InputError(
                f"VE needs 0 < sigma_min < sigma_max, not {self.sigma_min} and {self.sigma_max}"
            )

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return torch.ones_like(t), self.sigma_min * torch.sqrt(torch.expm1(self._growth * t))

    def _invert(self, log_snr: Tensor) -> Tensor:
        return torch.log1p((_level(log_snr) / self.sigma_min).square()) / self._growth

    @property
    def _growth(self) -> float:
        return 2 * math.log(self.sigma_max / self.sigma_min)


@configurable
@dataclass(frozen=True)
class Rectified(_Formula):
    r"""Straight lines from data to noise: `alpha = 1 - t`, `sigma = t` (Liu, Gong & Liu 2023;
    Lipman et al. 2023). Its `alpha` is also the linear clock of masking and thinning.

    >>> Rectified().values(0.25)
    (0.75, 0.25)
    """

    t_max = 1 - 1e-3

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return 1 - t, 1 * t

    def _invert(self, log_snr: Tensor) -> Tensor:
        return torch.sigmoid(-0.5 * log_snr)


@configurable
@dataclass(frozen=True)
class OU(_Formula):
    r"""The Ornstein-Uhlenbeck process `dx = -rate x ds + sqrt(2 rate) dW` up to `s = horizon`.

    `alpha_t = exp(-rate horizon t)`, `sigma_t^2 = 1 - alpha_t^2`. The clock of the convergence
    theory: `rate=1` is `dx = -x ds + sqrt(2) dW`, `rate=1/2` is `dx = -x/2 ds + dW`.

    >>> round(OU(rate=0.5, horizon=2.0).at(1.0).alpha, 6)
    0.367879
    """

    rate: float = 1.0
    horizon: float = 5.0
    preserves_variance = True

    def __post_init__(self) -> None:
        if not (0 < self.rate < math.inf and 0 < self.horizon < math.inf):
            raise InputError(
                f"OU needs a positive rate and horizon, not {self.rate} and {self.horizon}"
            )

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        decay = self.rate * self.horizon * t
        return torch.exp(-decay), torch.sqrt(-torch.expm1(-2 * decay))

    def _invert(self, log_snr: Tensor) -> Tensor:
        return -logsigmoid(log_snr) / (2 * self.rate * self.horizon)


@configurable
@dataclass(frozen=True)
class SubVP(_Linear):
    r"""The sub-VP process of Song et al. (2021, eq. 13): less noise than `VP` at every time.

    `dx = -beta_t x / 2 dt + sqrt(beta_t (1 - exp(-2 B_t))) dW`, so that `alpha_t = exp(-B_t / 2)`
    as for `VP`, but `sigma_t = 1 - exp(-B_t)`, the square of its `sigma`.

    >>> SubVP().at(0.3).sigma == VP().at(0.3).sigma ** 2
    True
    """

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        total = self._total(t)
        return torch.exp(-0.5 * total), -torch.expm1(-total)

    def _invert(self, log_snr: Tensor) -> Tensor:
        # sigma / alpha = 2 sinh(B / 2).
        return self._time(2 * torch.asinh(0.5 * _level(log_snr)))


@configurable
@dataclass(frozen=True)
class EDM(_Formula):
    r"""The noise level itself as time (Karras et al. 2022): `alpha = 1`, `sigma_t = sigma_max t`.

    Made for data of unit scale. `t_min` is where `sigma = sigma_min`; with the `Karras` grid and
    the `edm` sampler and prediction this is the set-up of the paper.

    >>> EDM().at(EDM().t_min).sigma
    0.002
    """

    sigma_min: float = 0.002
    sigma_max: float = 80.0

    def __post_init__(self) -> None:
        if not 0 < self.sigma_min < self.sigma_max < math.inf:
            raise InputError(
                f"EDM needs 0 < sigma_min < sigma_max, not {self.sigma_min} and {self.sigma_max}"
            )
        object.__setattr__(self, "t_min", self.sigma_min / self.sigma_max)

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return torch.ones_like(t), self.sigma_max * t

    def _invert(self, log_snr: Tensor) -> Tensor:
        return _level(log_snr) / self.sigma_max


def _level(log_snr: Tensor) -> Tensor:
    """The noise level `sigma / alpha`."""
    return torch.exp(-0.5 * log_snr)
