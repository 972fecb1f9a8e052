"""Gaussian random functions under colored noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward.distributions import ColoredNormal
from pushforward.processes import Gaussian
from pushforward.protocols import Model, Time
from pushforward.schedules import Schedule
from pushforward.spaces import Hilbert

__all__ = ["AnalyticFunctions"]


@dataclass(frozen=True)
class AnalyticFunctions:
    r"""A Gaussian process with covariance `K` on a grid, noised with `N(0, C)`.

    `E[x_0 | x_t] = m + alpha K (alpha^2 K + sigma^2 C)^{-1} (x_t - alpha m)`.

    >>> problem = AnalyticFunctions.on_grid(16)
    >>> problem.data.sample(2, seed=0).shape
    torch.Size([2, 16])
    """

    data: ColoredNormal
    space: Hilbert

    @classmethod
    def on_grid(
        cls, points: int, *, variance: float = 1.5, length: float = 0.3, noise_length: float = 0.1
    ) -> AnalyticFunctions:
        """Squared-exponential data with Ornstein-Uhlenbeck noise on `points` points of [0, 1]."""
        x = torch.linspace(0, 1, points, dtype=torch.float64)
        gap = x[:, None] - x[None, :]
        jitter = 1e-6 * torch.eye(points, dtype=torch.float64)
        data = variance * (torch.exp(-0.5 * (gap / length) ** 2) + jitter)
        noise = torch.exp(-gap.abs() / noise_length) + jitter
        return cls(ColoredNormal(data), Hilbert(noise))

    def process(self, schedule: Schedule) -> Gaussian:
        """The Gaussian process whose noise is this problem's."""
        return Gaussian(schedule, self.space)

    def noised(self, process: Gaussian, t: float) -> ColoredNormal:
        """The exact distribution `p_t`."""
        alpha, sigma = (float(v) for v in process.schedule.values(t))
        covariance = alpha**2 * self.data.covariance + sigma**2 * self.space.covariance
        return ColoredNormal(covariance, alpha * self.data.mean)

    def model(self, process: Gaussian) -> Model:
        """`E[x_0 | x_t]`, one linear solve per time."""

        def posterior_mean(x_t: Tensor, t: Time, c: Any = None) -> Tensor:
            alpha, sigma = (torch.as_tensor(v).to(x_t) for v in process.schedule.values(t))
            alpha, sigma = alpha[..., None, None], sigma[..., None, None]
            k, m = self.data.covariance.to(x_t), self.data.mean.to(x_t)
            total = alpha**2 * k + sigma**2 * self.space.covariance.to(x_t)
            gap = (x_t - alpha[..., 0] * m).unsqueeze(-1)
            return m + (alpha * k @ torch.linalg.solve(total, gap)).squeeze(-1)

        return posterior_mean
