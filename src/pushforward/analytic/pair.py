"""A coupled pair of Gaussians under a bridge."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward._random import normal, resolve
from pushforward._shapes import like
from pushforward.processes import Bridge, Interpolant, OUBridge, Reference
from pushforward.protocols import Model, Time

__all__ = ["AnalyticPair"]


@dataclass(frozen=True)
class AnalyticPair:
    r"""`x_0 ~ N(mean_0, 1)` and `x_1 ~ N(mean_1, 1)` per dimension, with a given covariance.

    Everything is jointly Gaussian, so both predictions are linear. The entropic optimal coupling
    for the Brownian reference of diffusion `sigma` has, in each dimension, the covariance
    `(sqrt(4 + sigma^4) - sigma^2) / 2` (Bojilov & Galichon 2016; De Bortoli et al. 2021): the
    Schrödinger bridge is this problem with that covariance. For an Ornstein-Uhlenbeck reference,
    whose end keeps the part `d` of its start and has the variance `v`, it is the root `c` of
    `c / (1 - c^2) = d / v`, since a plan has the interaction of its reference.

    >>> round(AnalyticPair.schrodinger(sigma=1.0).covariance, 4)
    0.618
    """

    mean_0: float = 0.0
    mean_1: float = 0.0
    covariance: float = 0.0
    dim: int = 1

    @classmethod
    def schrodinger(
        cls,
        sigma: float,
        mean_0: float = 0.0,
        mean_1: float = 0.0,
        dim: int = 1,
        rate: float = 0.0,
    ) -> AnalyticPair:
        """The pair coupled by the Schrödinger bridge; a `rate` is that of the reference."""
        reference: Reference = OUBridge(sigma, rate) if rate else Bridge(sigma)
        ratio = 2 * reference.decay(1.0) / reference.end_variance(1.0)
        # (sqrt(1 + ratio^2) - 1) / ratio, without a difference of nearly equal numbers.
        covariance = ratio / (math.sqrt(1 + ratio**2) + 1)
        return cls(mean_0, mean_1, covariance, dim)

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """`n` pairs, each end `(n, dim)`."""
        generator = resolve(seed, generator, rows=n)
        first, second = normal((n, 2, self.dim), generator).unbind(1)
        rest = math.sqrt(1 - self.covariance**2)
        return self.mean_0 + first, self.mean_1 + self.covariance * first + rest * second

    def moments(self, process: Reference | Interpolant, t: float) -> tuple[float, float]:
        """The exact mean and variance of `x_t`, per dimension."""
        k = process.ends(t)
        a, b, gamma = float(k.a), float(k.b), float(k.gamma)
        variance = a**2 + b**2 + 2 * a * b * self.covariance + gamma**2
        return a * self.mean_0 + b * self.mean_1, variance

    def model(self, process: Reference | Interpolant) -> Model:
        """`(E[x_0 | x_t], E[x_1 | x_t])`."""

        def ends(x_t: Tensor, t: Time, c: Any = None) -> tuple[Tensor, Tensor]:
            k = process.ends(t)
            cov_0 = k.a + k.b * self.covariance
            cov_1 = k.a * self.covariance + k.b
            variance = k.a * cov_0 + k.b * cov_1 + k.gamma**2
            gap = x_t - like(k.a * self.mean_0 + k.b * self.mean_1, x_t)
            return (
                self.mean_0 + like(cov_0 / variance, x_t) * gap,
                self.mean_1 + like(cov_1 / variance, x_t) * gap,
            )

        return ends
