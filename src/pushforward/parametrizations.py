r"""Parametrizations: what a network puts out, as affine tables.

Every process of this file's kind wants the posterior mean `E[x_0 | x_t]`. A network `F` gives it as

    E[x_0 | x_t] = skip x_t + out F(in x_t, time),

and a parametrization is the table of the four scalars `(in, skip, out, time)` at each time. The
weight `1 / out^2` turns the squared error of the posterior mean into that of the network's own
output: it is the simple loss of DDPM for `NoisePrediction`, and EDM's loss for
`EDMPreconditioning`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor

from pushforward._shapes import Weight, combine, like
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.protocols import Time
from pushforward.schedules import Schedule

__all__ = [
    "EDMPreconditioning",
    "AffineRow",
    "DataPrediction",
    "NoisePrediction",
    "Parametrization",
    "ScorePrediction",
    "VPrediction",
    "VelocityPrediction",
    "read",
    "write",
]


class AffineRow(NamedTuple):
    """One row of the table: input scale, skip, output scale, and the time the network is told."""

    scale_in: Weight
    skip: Weight
    out: Weight
    time: Weight


class Parametrization(Protocol):
    """A table over times, for any schedule."""

    def __call__(self, schedule: Schedule, t: Time) -> AffineRow:
        """The row at time `t`: floats for a float, tensors for a tensor."""


@configurable
@dataclass(frozen=True)
class DataPrediction:
    """The network predicts `E[x_0 | x_t]` itself."""

    def __call__(self, schedule: Schedule, t: Time) -> AffineRow:
        """No input scale, no skip."""
        return AffineRow(1.0, 0.0, 1.0, t)


@configurable
@dataclass(frozen=True)
class NoisePrediction:
    """The network predicts the noise, `(x_t - alpha x_0) / sigma` (Ho et al. 2020)."""

    def __call__(self, schedule: Schedule, t: Time) -> AffineRow:
        """Undefined where `alpha = 0`."""
        alpha, sigma = schedule.values(t)
        return AffineRow(1.0, 1 / alpha, -sigma / alpha, t)


@configurable
@dataclass(frozen=True)
class VPrediction:
    r"""The network predicts `v = alpha noise - sigma x_0` (Salimans & Ho 2022), in units of `r`.

    With `r = sqrt(alpha^2 + sigma^2)` the network sees `x_t / r` and predicts `v / r`, both of unit
    variance for data of unit variance, whatever the schedule. Where variance is preserved, `r` is 1
    and this is the `v` of the paper.
    """

    def __call__(self, schedule: Schedule, t: Time) -> AffineRow:
        """Well conditioned at every time."""
        alpha, sigma = schedule.values(t)
        if schedule.preserves_variance:
            return AffineRow(1.0, alpha, -sigma, t)
        power = alpha**2 + sigma**2
        return AffineRow(power**-0.5, alpha / power, -sigma / power**0.5, t)


@configurable
@dataclass(frozen=True)
class ScorePrediction:
    """The network predicts the score, `-(x_t - alpha E[x_0 | x_t]) / sigma^2`."""

    def __call__(self, schedule: Schedule, t: Time) -> AffineRow:
        """Undefined where `alpha = 0`."""
        alpha, sigma = schedule.values(t)
        return AffineRow(1.0, 1 / alpha, sigma**2 / alpha, t)


@configurable
@dataclass(frozen=True)
class VelocityPrediction:
    """The network predicts the velocity `alpha' x_0 + sigma' noise`, as in flow matching."""

    def __call__(self, schedule: Schedule, t: Time) -> AffineRow:
        """Well conditioned wherever the signal-to-noise ratio changes."""
        alpha, sigma, d_alpha, d_sigma, _ = schedule.at(t)
        turn = sigma * d_alpha - alpha * d_sigma
        return AffineRow(1.0, -d_sigma / turn, sigma / turn, t)


@configurable
@dataclass(frozen=True)
class EDMPreconditioning:
    r"""The preconditioning of Karras et al. (2022, table 1), for any schedule.

    With the noise level `u = sigma / alpha` and data of standard deviation `sigma_data`, input and
    training target have unit variance at every level, and the network is told `log(u) / 4`.
    """

    sigma_data: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.sigma_data < math.inf:
            raise InputError(f"sigma_data must be positive and finite, not {self.sigma_data}")

    def __call__(self, schedule: Schedule, t: Time) -> AffineRow:
        """Well conditioned at every time."""
        alpha, sigma = schedule.values(t)
        variance = sigma**2 + (alpha * self.sigma_data) ** 2
        scale_in = variance**-0.5
        return AffineRow(
            scale_in,
            alpha * self.sigma_data**2 / variance,
            sigma * self.sigma_data * scale_in,
            -schedule.log_snr(t) / 8,
        )


def read(affine: AffineRow, output: Tensor, x_t: Tensor) -> Tensor:
    """The posterior mean that a network's output stands for, `(B, *event)`."""
    if isinstance(affine.skip, float) and affine.skip == 0.0:
        return output * like(affine.out, output)
    return combine((affine.skip, affine.out), (x_t, output))


def write(affine: AffineRow, mean: Tensor, x_t: Tensor) -> Tensor:
    """The network output that stands for a posterior mean: the inverse of `read`.

    >>> import torch
    >>> from pushforward.schedules import VP
    >>> row = NoisePrediction()(VP(), 0.5)
    >>> x, mean = torch.ones(1, 2), torch.zeros(1, 2)
    >>> torch.allclose(read(row, write(row, mean, x), x), mean, atol=1e-6)
    True
    """
    return (mean - like(affine.skip, x_t) * x_t) / like(affine.out, x_t)
