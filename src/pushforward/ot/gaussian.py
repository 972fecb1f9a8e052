r"""Optimal transport between normal distributions, in closed form: a test of any estimator."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.checks import number, positive, whole
from pushforward.errors import InputError
from pushforward.ot import checks

__all__ = ["GaussianBridge", "GaussianPlan"]


class GaussianPlan:
    r"""The plan between `N(m, A)` and `N(l, B)` for squared distances, with or without entropy.

    With `s = epsilon / 2` and `D = (4 A^{1/2} B A^{1/2} + s^2)^{1/2}` it is the normal distribution
    with cross-covariance `2 A^{1/2} (D + s)^{-1} A^{1/2} B`, and the regularized cost is

        |m - l|^2 + tr(A + B - D + s) + s log det((D + s) / 2 s)

    (Janati et al. 2020). At `epsilon = 0` that is the Bures-Wasserstein distance, squared, and the
    plan is the Monge map (Gelbrich 1990). In double precision, without gradients.

    Args:
        mean_x, cov_x, mean_y, cov_y: means `(d,)` and covariances `(d, d)`.
        epsilon: the strength of the entropy, at least zero.

    Raises `InputError` for shapes that do not fit and for matrices that are not covariances; at
    `epsilon = 0` also where the first covariance is singular, since then there may be no map.

    >>> eye = torch.eye(2)
    >>> plan = GaussianPlan(torch.zeros(2), eye, torch.tensor([3.0, 0.0]), 4 * eye)
    >>> plan.regularized_cost, plan.map(torch.ones(1, 2)).tolist()
    (11.0, [[5.0, 2.0]])
    """

    def __init__(
        self, mean_x: Tensor, cov_x: Tensor, mean_y: Tensor, cov_y: Tensor, epsilon: float = 0.0
    ) -> None:
        self.epsilon = number("epsilon", epsilon, least=0)
        self.mean_x, self.cov_x = checks.moments(mean_x, cov_x, "x")
        self.mean_y, self.cov_y = checks.moments(mean_y, cov_y, "y")
        if len(self.mean_x) != len(self.mean_y):
            raise InputError(
                f"distributions of {len(self.mean_x)} and of {len(self.mean_y)} dimensions"
            )
        s = 0.5 * self.epsilon
        values, vectors = torch.linalg.eigh(self.cov_x)
        if self.epsilon == 0 and not float(values[0]) > 1e-12 * float(values[-1]):
            raise InputError("cov_x is singular: take epsilon > 0, or exchange the distributions")
        root = (vectors * values.clamp(min=0).sqrt()) @ vectors.mT
        middle, axes = torch.linalg.eigh(root @ self.cov_y @ root)
        roots = (4 * middle.clamp(min=0) + s**2).sqrt()
        inverse = torch.where(roots + s > 0, 1 / (roots + s), 0.0)
        self.cross_covariance = 2 * root @ (axes * inverse) @ axes.mT @ root @ self.cov_y
        """`Cov(x, y)`, `(d, d)`."""
        inner = (roots - s).sum()
        if s > 0:
            inner = inner - s * ((roots + s) / (2 * s)).log().sum()
        shift = (self.mean_x - self.mean_y).square().sum()
        total = shift + self.cov_x.trace() + self.cov_y.trace()
        self.regularized_cost = float(total - inner)
        """`<c, P> + epsilon KL(P | product)`."""
        self.cost = float(total - 2 * self.cross_covariance.trace())
        """`<c, P> = E |x - y|^2`."""

    def joint(self) -> tuple[Tensor, Tensor]:
        """Mean `(2 d,)` and covariance `(2 d, 2 d)` of the pair."""
        top = torch.cat([self.cov_x, self.cross_covariance], 1)
        bottom = torch.cat([self.cross_covariance.mT, self.cov_y], 1)
        return torch.cat([self.mean_x, self.mean_y]), torch.cat([top, bottom])

    def map(self, x: Tensor) -> Tensor:
        """The mean of what goes with `x`, `(k, d)`: the Monge map if there is no entropy."""
        x = checks.finite(x, "x")
        if x.ndim != 2 or x.shape[1] != len(self.mean_x):
            raise InputError(f"x has shape {tuple(x.shape)}; states (k, {len(self.mean_x)}) do")
        inverse = torch.linalg.pinv(self.cov_x, hermitian=True)
        slope = (self.cross_covariance.mT @ inverse).to(x)
        return self.mean_y.to(x) + (x - self.mean_x.to(x)) @ slope.mT

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """`n` pairs, each `(n, d)`."""
        mean, cov = self.joint()
        values, vectors = torch.linalg.eigh(cov)
        noise = torch.randn(
            whole("n", n), len(mean), generator=resolve(seed, generator), dtype=mean.dtype
        )
        both = mean + (noise * values.clamp(min=0).sqrt()) @ vectors.mT
        return both[:, : len(self.mean_x)], both[:, len(self.mean_x) :]


class GaussianBridge:
    r"""The Schrödinger bridge between normal distributions, over Brownian motion of scale `sigma`.

    The distribution of paths on `[0, 1]` nearest in Kullback-Leibler divergence to `sigma` times
    Brownian motion among those with the two distributions at their ends. Its ends are the entropic
    plan at `epsilon = 2 sigma^2`, and given them its paths are Brownian bridges (Bunne et al.
    2023).

    >>> eye = torch.eye(1)
    >>> bridge = GaussianBridge(torch.zeros(1), eye, torch.zeros(1), eye, sigma=1.0)
    >>> bridge.plan.cross_covariance            # (sqrt(5) - 1) / 2
    tensor([[0.6180]], dtype=torch.float64)
    >>> bridge.marginal(0.5)[1]
    tensor([[1.0590]], dtype=torch.float64)
    """

    def __init__(
        self, mean_x: Tensor, cov_x: Tensor, mean_y: Tensor, cov_y: Tensor, sigma: float
    ) -> None:
        self.sigma = positive("sigma", sigma)
        self.plan = GaussianPlan(mean_x, cov_x, mean_y, cov_y, 2 * self.sigma**2)

    def marginal(self, t: float) -> tuple[Tensor, Tensor]:
        """Mean `(d,)` and covariance `(d, d)` at a time in `[0, 1]`."""
        t = number("t", t, least=0, most=1)
        plan, s = self.plan, 1 - t
        mean = s * plan.mean_x + t * plan.mean_y
        cross = plan.cross_covariance + plan.cross_covariance.mT
        noise = self.sigma**2 * torch.eye(len(mean), dtype=mean.dtype)
        return mean, s**2 * plan.cov_x + t**2 * plan.cov_y + s * t * (cross + noise)
