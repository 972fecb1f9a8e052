r"""What is known of the data: their law in closed form, or draws of it.

A certificate compares the sampler with exact paths of some law. Of a law that is known, the
posterior mean is known, and nothing else is needed. Of draws `x^1, ..., x^n` the law of the draws
themselves is known: relative entropy is convex, so that the one of the paths of this law is, in the
mean over draws that the model has not seen, an upper bound of that of the true one. It is close as
long as the noise blurs the draws into each other.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Protocol

import torch
from torch import Tensor

from pushforward._distances import centered, squared_distances
from pushforward.distributions import GaussianMixture
from pushforward.divergences import gaussian

__all__ = ["DrawnLaw", "ExactLaw", "KnownLaw", "Law", "NoisyDraws", "NormalLaw", "Weighed"]


class Weighed(Protocol):
    """A quadratic form of predictions: what a step costs, but for what they do not change."""

    def __call__(self, z: Tensor, x: Tensor, pred: Tensor) -> Tensor:
        """At data, noised data and predictions, `(B,)`."""

    def exact(self, z: Tensor, x: Tensor, spread: float) -> Tensor:
        """At the exact predictions, which are known by `E |x_0 - E[x_0 | x]|^2` alone, `(B,)`."""


class Law(Protocol):
    """The posterior mean of a law, and how far data and predictions are from it."""

    def spread(self, z: Tensor, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Numbers `(B,)` whose mean is `E |x_0 - E[x_0 | x]|^2`, at data and noised data."""

    def excess(
        self, form: Weighed, z: Tensor, x: Tensor, preds: list[Tensor], alpha: float, sigma: float
    ) -> tuple[list[Tensor], Tensor]:
        """What each of some predictions costs more than the exact one, `(B,)`; and the spread."""


class ExactLaw(ABC):
    """A law whose posterior mean is known."""

    @abstractmethod
    def posterior_mean(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """`E[x_0 | alpha x_0 + sigma noise = x]`, `(B, d)`."""

    @abstractmethod
    def spread(self, z: Tensor, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """The trace of `Cov[x_0 | x]`, `(B,)`."""

    def excess(
        self, form: Weighed, z: Tensor, x: Tensor, preds: list[Tensor], alpha: float, sigma: float
    ) -> tuple[list[Tensor], Tensor]:
        """Against the posterior mean: it has the same mean given `x` as the data, and no spread."""
        mean = self.posterior_mean(x, alpha, sigma)
        exact = form(mean, x, mean)
        more = [form(mean, x, pred) - exact for pred in preds]
        return more, self.spread(z, x, alpha, sigma)


class KnownLaw(ExactLaw):
    """A Gaussian mixture, in the units of the process."""

    def __init__(self, mixture: GaussianMixture) -> None:
        self.mixture = mixture

    def posterior_mean(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """That of the mixture."""
        return self.mixture.posterior_mean(x, alpha, sigma)

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
    """The law of some draws `(n, d)`, each with the probability `1 / n`.

    Args:
        points: the draws.
        groups: a number for each draw, `(n,)`: the law of a draw is that of its own group. States
            that it is asked about are then one for each draw, in their order.
    """

    def __init__(self, points: Tensor, groups: Tensor | None = None) -> None:
        self.points, self.groups = points, groups

    def posterior_mean(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """The mean of the draws, weighed by their likelihoods."""
        at, means = centered(alpha * self.points.mean(0), x, alpha * self.points)
        logits = -squared_distances(at, means) / (2 * sigma**2)
        if self.groups is not None:
            other = self.groups[:, None] != self.groups
            logits = logits.masked_fill(other, -math.inf)
        return torch.softmax(logits, 1) @ self.points

    def spread(self, z: Tensor, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """The squared distance of the data to the posterior mean."""
        return (z - self.posterior_mean(x, alpha, sigma)).square().sum(1)

    def excess(
        self, form: Weighed, z: Tensor, x: Tensor, preds: list[Tensor], alpha: float, sigma: float
    ) -> tuple[list[Tensor], Tensor]:
        """Against the data: their distance to the mean tells what other draws would change."""
        mean = self.posterior_mean(x, alpha, sigma)
        exact = form(z, x, mean)
        return [form(z, x, pred) - exact for pred in preds], (z - mean).square().sum(1)

    @property
    def entropy(self) -> float:
        """The most that `1/2 int mmse dSNR` can be: `log n`, or its mean over the groups."""
        if self.groups is None:
            return math.log(len(self.points))
        sizes = torch.unique(self.groups, return_counts=True)[1].double()
        return float((sizes * sizes.log()).sum() / sizes.sum())


class NoisyDraws(DrawnLaw):
    """The law of draws of data that have normal noise of their own, by assumption.

    Nothing tells that noise: `E |x_0 - E[x_0 | x]|^2` is at least what it is for the noise alone,
    and of this and that of the draws the larger one is taken.

    Args:
        points, groups: of a `DrawnLaw`.
        noise: the law of the noise in each draw, normal and independent of what it is added to.
    """

    def __init__(self, points: Tensor, groups: Tensor | None, noise: NormalLaw) -> None:
        super().__init__(points, groups)
        self.noise = noise

    def spread(self, z: Tensor, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """That of the draws, or of the noise."""
        found, least = super().spread(z, x, alpha, sigma), self.noise.mmse((alpha / sigma) ** 2)
        return found if float(found.mean()) >= least else torch.full_like(found, least)

    def excess(
        self, form: Weighed, z: Tensor, x: Tensor, preds: list[Tensor], alpha: float, sigma: float
    ) -> tuple[list[Tensor], Tensor]:
        """Against the data, and what the noise alone would cost."""
        found, spread = super().excess(form, z, x, preds, alpha, sigma)
        least = self.noise.mmse((alpha / sigma) ** 2)
        if float(spread.mean()) >= least:
            return found, spread
        exact = form.exact(z, x, least)
        return [form(z, x, pred) - exact for pred in preds], torch.full_like(spread, least)
