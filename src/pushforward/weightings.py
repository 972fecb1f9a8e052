r"""Weights of the loss over time: which errors of the prediction count, and how much.

The loss of a diffusion model is `E_t[w(t) |E[x_0 | x_t] - x_0|^2]`, per dimension. All losses of
the literature are this one with another `w`: the squared error of the noise is the data's times
`SNR = alpha^2 / sigma^2`, that of the score times `alpha^2 / sigma^4`, and so on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.parametrizations import Parametrization
from pushforward.protocols import Time
from pushforward.schedules import Schedule

__all__ = ["EDMWeight", "SNR", "Likelihood", "Output", "Weighting"]


class Weighting(Protocol):
    """A weight at each time, for any schedule."""

    def __call__(self, schedule: Schedule, t: Time, table: Parametrization) -> Any:
        """The weight of the squared error of the data, shaped like `t`."""


@configurable
@dataclass(frozen=True)
class Output:
    """The squared error of the network's own output, whatever it predicts.

    The plain loss of every parametrization: of the noise it is the simple loss of Ho et al. (2020),
    of EDM's preconditioning the loss of Karras et al. (2022).
    """

    def __call__(self, schedule: Schedule, t: Time, table: Parametrization) -> Any:
        """`1 / out^2`."""
        return 1 / table(schedule, t).out ** 2


@configurable
@dataclass(frozen=True)
class SNR:
    r"""The signal-to-noise ratio, kept between two bounds.

    Without bounds this is the squared error of the noise, the simple loss of Ho et al. (2020);
    `least=1` is the truncated weight of Salimans & Ho (2022), `most=5` min-SNR (Hang et al. 2023).

    Raises `InputError` unless `0 <= least < most`.

    >>> from pushforward.parametrizations import DataPrediction
    >>> from pushforward.schedules import Rectified
    >>> SNR(most=5.0)(Rectified(), 0.25, DataPrediction())
    5.0
    """

    least: float = 0.0
    most: float = math.inf

    def __post_init__(self) -> None:
        if not 0 <= self.least < self.most:
            raise InputError(f"SNR needs 0 <= least < most, not {self.least} and {self.most}")

    def __call__(self, schedule: Schedule, t: Time, table: Parametrization) -> Any:
        """`min(max(alpha^2 / sigma^2, least), most)`."""
        alpha, sigma = schedule.values(t)
        ratio = (alpha / sigma) ** 2
        if isinstance(ratio, float):
            return min(max(ratio, self.least), self.most)
        return ratio.clamp(self.least, self.most)


@configurable
@dataclass(frozen=True)
class Likelihood:
    r"""The weight of the evidence bound, `-(1/2) d SNR / dt` (Kingma et al. 2021, eq. 17).

    With it, the loss over uniform times is the bound's rate of loss in nats per dimension. It grows
    like `1 / t^2` towards the data: use `times.ImportanceTimes(times.LogSNRTimes())`, which leaves
    its expectation and takes most of its variance away.
    """

    def __call__(self, schedule: Schedule, t: Time, table: Parametrization) -> Any:
        """`(alpha / sigma)^2 (sigma' / sigma - alpha' / alpha)`."""
        k: Any = schedule.at(t)
        return (k.alpha / k.sigma) ** 2 * (k.d_sigma / k.sigma - k.d_alpha / k.alpha)


@configurable
@dataclass(frozen=True)
class EDMWeight:
    r"""The weight of Karras et al. (2022), `(u^2 + s^2) / (u s)^2` at `u = sigma / alpha`.

    The training target of EDM's preconditioning has unit variance under it; use it with the
    distribution `times.LogNormalTimes()`.

    Args:
        sigma_data: the standard deviation `s` of the data.
    """

    sigma_data: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.sigma_data < math.inf:
            raise InputError(f"sigma_data must be positive and finite, not {self.sigma_data}")

    def __call__(self, schedule: Schedule, t: Time, table: Parametrization) -> Any:
        """`SNR + 1 / s^2`."""
        alpha, sigma = schedule.values(t)
        return (alpha / sigma) ** 2 + self.sigma_data**-2
