"""Covariances of random functions by name, so that noise can be written to a configuration."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from pushforward import checks
from pushforward.config import configurable
from pushforward.errors import InputError

__all__ = [
    "CovarianceKernel",
    "Exponential",
    "Matern",
    "Periodic",
    "SpectralKernel",
    "SquaredExponential",
    "White",
]


class CovarianceKernel(Protocol):
    """A stationary covariance."""

    def __call__(self, distance: Tensor) -> Tensor:
        """The covariance at distances `s - t`, shaped like them."""


class SpectralKernel(CovarianceKernel, Protocol):
    """An isotropic covariance whose Fourier transform is known."""

    def spectral_density(self, square: Tensor, dim: int) -> Tensor:
        r"""`S(w) = int k(|r|) exp(-i w r) dr` over R^d at squared angular frequencies `|w|^2`."""


@configurable
@dataclass(frozen=True)
class Matern:
    r"""`k(r) = variance M_nu(sqrt(2 nu) r / length)` with `nu` 1/2, 3/2 or 5/2.

    Its functions have `nu - 1/2` mean-square derivatives (Rasmussen & Williams 2006, eq. 4.17).

    >>> Matern(nu=0.5, length=1.0)(torch.tensor([0.0, 1.0]))
    tensor([1.0000, 0.3679])
    """

    nu: float = 1.5
    length: float = 0.2
    variance: float = 1.0

    def __post_init__(self) -> None:
        checks.positive("length", self.length)
        checks.positive("variance", self.variance)
        if self.nu not in (0.5, 1.5, 2.5):
            raise InputError(
                f"a Matern kernel in closed form has nu 0.5, 1.5 or 2.5, not {self.nu}"
            )

    def __call__(self, distance: Tensor) -> Tensor:
        """The covariance at distances."""
        r = math.sqrt(2 * self.nu) * distance.abs() / self.length
        factor = {0.5: r**0, 1.5: 1 + r, 2.5: 1 + r + r.square() / 3}[self.nu]
        return self.variance * factor * torch.exp(-r)

    def spectral_density(self, square: Tensor, dim: int) -> Tensor:
        """Proportional to `(2 nu / length^2 + |w|^2)^-(nu + d/2)` (eq. 4.15 there)."""
        nu, rate = self.nu, 2 * self.nu / self.length**2
        gamma = math.lgamma(nu + dim / 2) - math.lgamma(nu)
        log_scale = dim * math.log(2) + dim / 2 * math.log(math.pi) + gamma + nu * math.log(rate)
        return self.variance * math.exp(log_scale) * (rate + square) ** -(nu + dim / 2)


@configurable
@dataclass(frozen=True)
class Exponential:
    """`k(r) = variance exp(-|r| / length)`: the Ornstein-Uhlenbeck covariance."""

    length: float = 0.2
    variance: float = 1.0

    def __post_init__(self) -> None:
        checks.positive("length", self.length)
        checks.positive("variance", self.variance)

    def __call__(self, distance: Tensor) -> Tensor:
        """The covariance at distances."""
        return self.variance * torch.exp(-distance.abs() / self.length)

    def spectral_density(self, square: Tensor, dim: int) -> Tensor:
        """That of the Matern kernel with `nu = 1/2`."""
        return Matern(0.5, self.length, self.variance).spectral_density(square, dim)


@configurable
@dataclass(frozen=True)
class SquaredExponential:
    """`k(r) = variance exp(-r^2 / (2 length^2))`: smooth functions."""

    length: float = 0.2
    variance: float = 1.0

    def __post_init__(self) -> None:
        checks.positive("length", self.length)
        checks.positive("variance", self.variance)

    def __call__(self, distance: Tensor) -> Tensor:
        """The covariance at distances."""
        return self.variance * torch.exp(-0.5 * (distance / self.length).square())

    def spectral_density(self, square: Tensor, dim: int) -> Tensor:
        """`variance (2 pi length^2)^(d/2) exp(-length^2 |w|^2 / 2)`."""
        scale = self.variance * (2 * math.pi * self.length**2) ** (dim / 2)
        return scale * torch.exp(-0.5 * self.length**2 * square)


@configurable
@dataclass(frozen=True)
class Periodic:
    """`k(r) = variance exp(-2 sin^2(pi r / period) / length^2)` (MacKay 1998)."""

    period: float = 1.0
    length: float = 1.0
    variance: float = 1.0

    def __post_init__(self) -> None:
        for name in ("period", "length", "variance"):
            checks.positive(name, getattr(self, name))

    def __call__(self, distance: Tensor) -> Tensor:
        """The covariance at distances."""
        turn = torch.sin(math.pi * distance / self.period) / self.length
        return self.variance * torch.exp(-2 * turn.square())


@configurable
@dataclass(frozen=True)
class White:
    r"""`k(r) = variance [r = 0]`: independent values, however near two points are.

    That is for values which have independent errors themselves, at scattered points: noise that
    varies less than they do between the nearest two points multiplies there whatever a network has
    wrong, and costs nats. Its functions have no limit as a grid is refined, so that no density with
    respect to the noise has (`models.log_prob_by_noise`), and it has no spectral density. Neural
    diffusion processes take it (Dutordoir et al. 2023).

    >>> White()(torch.tensor([0.0, 1e-9]))
    tensor([1., 0.])
    """

    variance: float = 1.0

    def __post_init__(self) -> None:
        checks.positive("variance", self.variance)

    def __call__(self, distance: Tensor) -> Tensor:
        """The covariance at distances."""
        return self.variance * (distance == 0).to(distance)
