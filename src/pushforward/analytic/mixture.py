"""A Gaussian mixture under a Gaussian process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward.distributions import GaussianMixture
from pushforward.processes import Gaussian
from pushforward.protocols import Model, Time

__all__ = ["AnalyticMixture"]


@dataclass(frozen=True)
class AnalyticMixture:
    """Data from a mixture; the noised distribution, its score and the posterior mean are exact.

    >>> from pushforward.schedules import VP
    >>> problem = AnalyticMixture.gaussian(mean=1.5, std=0.7)
    >>> model = problem.model(Gaussian(VP()))
    >>> model(torch.zeros(1, 1), 1e-3).round(decimals=2)
    tensor([[0.]])
    """

    data: GaussianMixture

    @classmethod
    def gaussian(cls, mean: float, std: float, dim: int = 1) -> AnalyticMixture:
        """One isotropic Gaussian."""
        return cls(GaussianMixture(torch.full((1, dim), mean), std**2))

    @classmethod
    def ring(cls, components: int = 8, radius: float = 2.0, std: float = 0.2) -> AnalyticMixture:
        """Equal Gaussians on a circle in the plane."""
        angle = torch.arange(components) * (2 * torch.pi / components)
        return cls(GaussianMixture(radius * torch.stack([angle.cos(), angle.sin()], -1), std**2))

    def noised(self, process: Gaussian, t: float) -> GaussianMixture:
        """The exact distribution `p_t`."""
        alpha, sigma = process.schedule.values(t)
        return self.data.noised(float(alpha), float(sigma))

    def model(self, process: Gaussian) -> Model:
        """`E[x_0 | x_t]`."""

        def posterior_mean(x_t: Tensor, t: Time, c: Any = None) -> Tensor:
            return self.data.posterior_mean(x_t, *process.schedule.values(t))

        return posterior_mean

    def covariance(self, process: Gaussian) -> Callable[[Tensor, Time], Tensor]:
        """`Cov[x_0 | x_t]`, `(B, d, d)`, as a function of `(x_t, t)`: see `guidance.MMPS`."""

        def posterior_covariance(x_t: Tensor, t: Time) -> Tensor:
            return self.data.posterior_covariance(x_t, *process.schedule.values(t))

        return posterior_covariance
