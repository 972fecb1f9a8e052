"""Problems whose posterior is known: a normal prior under a linear measurement."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pushforward import inverse, processes, schedules
from pushforward.analytic import AnalyticMixture
from pushforward.distributions import GaussianMixture

ROOT = torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [-0.3, 0.4, 0.5]], dtype=torch.float64)
MEAN = torch.tensor([0.5, -1.0, 0.2], dtype=torch.float64)
MATRIX = torch.tensor([[1.0, -0.5, 0.3], [0.2, 0.7, -1.0]], dtype=torch.float64)
Y = torch.tensor([1.5, -0.7], dtype=torch.float64)


class NormalWorld:
    """`x_0 ~ N(mean, covariance)`, `y = A x_0 + std e`."""

    mean = MEAN

    def __init__(
        self,
        schedule: schedules.Schedule | None = None,
        measured: int = 2,
        std: float | Tensor = 0.4,
        isotropic: float | None = None,
        matrix: Tensor = MATRIX,
    ) -> None:
        self.process = processes.Gaussian(schedule or schedules.VP())
        self.covariance = ROOT @ ROOT.mT
        if isotropic is not None:
            self.covariance = isotropic * torch.eye(3, dtype=torch.float64)
        self.prior = GaussianMixture(MEAN[None], self.covariance[None])
        self.matrix, self.y = matrix.double()[:measured], Y[:measured]
        noise = inverse.GaussianNoise(std)
        noise.std = torch.as_tensor(std, dtype=torch.float64)
        self.noise = torch.diag(noise.std.square().expand(measured))
        self.measurement = inverse.Measurement(self.y, inverse.Matrix(self.matrix), noise, (3,))
        self.problem = AnalyticMixture(self.prior)
        self.model = self.problem.model(self.process)

    def states(self, t: float, n: int = 5) -> Tensor:
        z = self.prior.sample(n, generator=torch.Generator().manual_seed(1))
        return self.process.sample(z, t, torch.Generator().manual_seed(2))

    def given(self, x_t: Tensor, t: float) -> tuple[Tensor, Tensor]:
        """The exact mean and covariance of `x_0` given `x_t`."""
        alpha, sigma = self.process.schedule.values(t)
        precision = torch.linalg.inv(self.covariance) + alpha**2 / sigma**2 * torch.eye(3)
        covariance = torch.linalg.inv(precision)
        natural = torch.linalg.inv(self.covariance) @ MEAN + alpha / sigma**2 * x_t
        return natural @ covariance.mT, covariance

    def given_both(self, x_t: Tensor, t: float) -> tuple[Tensor, Tensor]:
        """The exact `E[x_0 | x_t, y]` and `log p(y | x_t)`."""
        mean, covariance = self.given(x_t, t)
        observed = self.matrix @ covariance @ self.matrix.mT + self.noise
        gain = covariance @ self.matrix.mT @ torch.linalg.inv(observed)
        residual = self.y - mean @ self.matrix.mT
        square = (residual @ torch.linalg.inv(observed) * residual).sum(-1)
        constant = torch.logdet(observed) + len(self.y) * math.log(2 * math.pi)
        return mean + residual @ gain.mT, -0.5 * (square + constant)


@pytest.fixture
def normal_world() -> type[NormalWorld]:
    """The class, since modules of tests do not import each other."""
    return NormalWorld
