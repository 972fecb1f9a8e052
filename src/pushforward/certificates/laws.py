r"""What is known of the data: their law in closed form, or draws of it.

A certificate compares the sampler with exact paths of some law. Of a law that is known, the
posterior mean is known, and nothing else is needed. Of draws `x^1, ..., x^n` the law of the draws
themselves is known: relative entropy is convex, so that the one of the paths of this law is, in the
mean over draws that the model has not seen, an upper bound of that of the true one. It is close as
long as the noise blurs the draws into each other.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor

from pushforward._distances import centered, squared_distances
from pushforward.distributions import GaussianMixture
from pushforward.divergences import gaussian

__all__ = ["DrawnLaw", "KnownLaw", "Law", "NormalLaw"]


class Law(Protocol):
    """The posterior mean of a law, and how far the data are from it."""

    def posterior_mean(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """`E[x_0 | alpha x_0 + sigma noise = x]`, `(B, d)`."""

    def target(self, z: Tensor, mean: Tensor) -> Tensor:
        """Data or posterior means: what the predictions of a model are held against."""

    def spread(self, z: Tensor, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Numbers `(B,)` whose mean is `E |x_0 - E[x_0 | x]|^2`, at data and noised data."""


class KnownLaw:
    """A Gaussian mixture, in the units of the process."""

    def __init__(self, mixture: GaussianMixture) -> None:
        self.mixture = mixture

    def posterior_mean(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """That of the mixture."""
        return self.mixture.posterior_mean(x, alpha, sigma)

    def target(self, z: Tensor, mean: Tensor) -> Tensor:
        """The posterior mean: it has the same mean given `x` as the data, and no spread."""
        return mean

    def spread(self, z: Tensor, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """The trace of the posterior covariance."""
        covariance = self.mixture.posterior_covariance(x, alpha, sigma)
        return covariance.diagonal(dim1=-2, dim2=-1).sum(-1)

    @property
    def second_moment(self) -> float:
        """`E |x_0|^2`."""
        return float(self.mixture.covariance.trace() + self.mixture.mean.square().sum())


class NormalLaw(KnownLaw):
    """A normal law, of which all means are in closed form."""

    def __init__(self, mixture: GaussianMixture) -> None:
        super().__init__(mixture)
        self.variances = torch.linalg.eigvalsh(mixture.covariance.double())

    def mmse(self, snr: float) -> float:
        """`E |x_0 - E[x_0 | x]|^2` at a signal-to-noise ratio."""
        return float((self.variances / (1 + snr * self.variances)).sum())

    def mmse_integral(self, first: float, last: float) -> float:
        """Its integral over signal-to-noise ratios."""
        ends = (torch.log1p(snr * self.variances).sum() for snr in (first, last))
        return -float(next(ends) - next(ends))

    def prior_mismatch(self, alpha: float, sigma: float) -> float:
        """`KL` of the noised law with respect to `N(0, sigma^2 I)`."""
        mean, cov = self.mixture.mean.double(), self.mixture.covariance.double()
        noise = sigma**2 * torch.eye(len(mean), dtype=torch.float64)
        return gaussian.kl(alpha * mean, alpha**2 * cov + noise, 0 * mean, noise)


class DrawnLaw:
    """The law of some draws `(n, d)`, each with the probability `1 / n`."""

    def __init__(self, points: Tensor) -> None:
        self.points = points

    def posterior_mean(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """The mean of the draws, weighed by their likelihoods."""
        at, means = centered(alpha * self.points.mean(0), x, alpha * self.points)
        weights = torch.softmax(-squared_distances(at, means) / (2 * sigma**2), 1)
        return weights @ self.points

    def target(self, z: Tensor, mean: Tensor) -> Tensor:
        """The data: how far each is from the mean tells how much other draws would change."""
        return z

    def spread(self, z: Tensor, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """The squared distance of the data to the posterior mean."""
        return (z - self.posterior_mean(x, alpha, sigma)).square().sum(1)

    @property
    def entropy(self) -> float:
        """`log n`, the most that `1/2 int mmse dSNR` can be."""
        return math.log(len(self.points))
