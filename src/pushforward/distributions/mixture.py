r"""Gaussian mixtures, whose noised density, score and posterior mean are exact.

If `x_0 ~ sum_k w_k N(m_k, S_k)` and `x_t = alpha x_0 + sigma noise`, then
`x_t ~ sum_k w_k N(alpha m_k, alpha^2 S_k + sigma^2 I)` and, given the component `k`,

    E[x_0 | x_t, k] = m_k + alpha S_k (alpha^2 S_k + sigma^2 I)^{-1} (x_t - alpha m_k).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward._distances import centered, squared_distances
from pushforward._random import categories, normal_like, resolve
from pushforward._shapes import Weight
from pushforward._softmax import softmax
from pushforward.errors import InputError

__all__ = ["GaussianMixture"]


class GaussianMixture:
    """A mixture of `K` Gaussians on R^d.

    Args:
        means: `(K, d)`.
        covariances: `(K, d, d)` full, `(K, d)` diagonal, `(K,)` or a float isotropic.
        weights: `(K,)`, positive and summing to one; equal if not given.

    Raises `InputError` for shapes that do not fit, weights that do not sum to one, or covariances
    that are not positive definite.

    >>> distribution = GaussianMixture(torch.tensor([[-2.0], [2.0]]), 0.25)
    >>> distribution.posterior_mean(torch.zeros(1, 1), alpha=0.5, sigma=0.8)
    tensor([[0.]])
    """

    def __init__(
        self, means: Tensor, covariances: Tensor | float, weights: Tensor | None = None
    ) -> None:
        if means.ndim != 2:
            raise InputError(f"means have shape (K, d), not {tuple(means.shape)}")
        if not means.isfinite().all():
            raise InputError("the means of a mixture must be finite")
        components, dim = means.shape
        spread = torch.as_tensor(covariances, dtype=means.dtype, device=means.device)
        if weights is None:
            weights = torch.full_like(means[:, 0], 1 / components)
        total = float(weights.double().sum())
        if (
            tuple(weights.shape) != (components,)
            or not (weights > 0).all()
            or abs(total - 1) > 1e-5
        ):
            raise InputError(
                f"{components} components need as many positive weights summing to one; "
                f"got {tuple(weights.shape)} summing to {total}"
            )
        self.rotation: Tensor | None = None
        if spread.ndim == 3 and spread.shape == (components, dim, dim):
            if not torch.allclose(spread, spread.mT, rtol=1e-4, atol=1e-6):
                raise InputError("the covariances of a mixture must be symmetric")
            # In the eigenbasis of each component every noise level is diagonal.
            variances, rotation = torch.linalg.eigh(spread.double())
            self.variances, self.rotation = variances.to(means), rotation.to(means)
        elif spread.ndim <= 2 and spread.shape in {(), (components,), (components, dim)}:
            rows = spread.reshape(-1, 1) if spread.ndim < 2 else spread
            self.variances = rows.expand(components, dim)
        else:
            raise InputError(f"covariances of shape {tuple(spread.shape)} do not fit {means.shape}")
        if not (self.variances > 0).all():
            raise InputError("the covariances of a mixture must be positive definite")
        self._isotropic = spread.ndim < 2
        self.means, self.weights = means, weights.to(means)

    @property
    def mean(self) -> Tensor:
        """The mean of the mixture, `(d,)`."""
        return self.weights @ self.means

    @property
    def component_covariances(self) -> Tensor:
        """The covariance of each component, `(K, d, d)`."""
        if self.rotation is None:
            return torch.diag_embed(self.variances)
        return (self.rotation * self.variances.unsqueeze(-2)) @ self.rotation.mT

    @property
    def covariance(self) -> Tensor:
        """The covariance of the mixture, `(d, d)`."""
        gap = self.means - self.mean
        between = gap.unsqueeze(-1) * gap.unsqueeze(-2)
        return torch.einsum("k,kij->ij", self.weights, self.component_covariances + between)

    def noised(self, alpha: float, sigma: float) -> GaussianMixture:
        """The distribution of `alpha x + sigma noise`."""
        distribution = object.__new__(GaussianMixture)
        distribution.weights, distribution.rotation, distribution._isotropic = (
            self.weights,
            self.rotation,
            self._isotropic,
        )
        distribution.means, distribution.variances = (
            alpha * self.means,
            alpha**2 * self.variances + sigma**2,
        )
        return distribution

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """`n` draws, `(n, d)`."""
        generator = resolve(seed, generator, self.means.device, rows=n)
        k = categories(self.weights, n, generator)
        noise = normal_like(self.means[k], generator)
        noise = self.variances[k].sqrt() * noise
        if self.rotation is not None:
            # By component: a rotation for each state would be d times the memory of the states.
            for component in k.unique():
                own = k == component
                noise[own] = noise[own] @ self.rotation[component].mT
        return self.means[k] + noise

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density, `(B,)`."""
        return self._log_joint(x, 1.0, 0.0).logsumexp(-1)

    def score(self, x: Tensor) -> Tensor:
        """The gradient of the log-density, `(B, d)`."""
        if self.rotation is not None:
            joint, gap, variance = self._joint(x, 1.0, 0.0)
            return -self._average(softmax(joint), gap / variance)
        weights = softmax(self._log_joint(x, 1.0, 0.0))
        at, means = centered(self.mean.detach(), x, self.means)
        weights, pull = weights.to(at), self.variances.to(at).reciprocal()
        return (weights @ (pull * means) - (weights @ pull) * at).to(x)

    def posterior_mean(self, x: Tensor, alpha: Weight, sigma: Weight) -> Tensor:
        """`E[x_0 | alpha x_0 + sigma noise = x]`, `(B, d)`; both floats or `(B,)`."""
        large = self._isotropic and _is_large(x, self.means)
        if large and isinstance(alpha, float) and isinstance(sigma, float):
            return self._isotropic_mean(x, alpha, sigma)
        joint, gap, variance = self._joint(x, alpha, sigma)
        gain = _column(alpha) * self.variances / variance
        weights = softmax(joint)
        return weights @ self.means + self._average(weights, gain * gap)

    def posterior_covariance(self, x: Tensor, alpha: Weight, sigma: Weight) -> Tensor:
        """`Cov[x_0 | alpha x_0 + sigma noise = x]`, `(B, d, d)`; both floats or `(B,)`.

        Within the components and between their means. Components are gone through one by one, so
        that no more than a few matrices of each state are in memory.
        """
        joint, gap, variance = self._joint(x, alpha, sigma)
        weights = softmax(joint)
        gain = _column(alpha) * self.variances / variance
        moves = gain * gap
        if self.rotation is not None:
            moves = torch.einsum("kij,bkj->bki", self.rotation, moves)
        means = self.means + moves
        means = means - torch.einsum("bk,bkd->bd", weights, means).unsqueeze(1)
        total = torch.einsum("bk,bki,bkj->bij", weights, means, means)
        within = weights.unsqueeze(-1) * (1 - _column(alpha) * gain) * self.variances
        if self.rotation is None:
            return total + torch.diag_embed(within.sum(1))
        for k, rotation in enumerate(self.rotation):
            total = total + (rotation * within[:, k].unsqueeze(1)) @ rotation.mT
        return total

    def posterior(self, matrix: Tensor, y: Tensor, variance: Tensor | float) -> GaussianMixture:
        r"""The distribution of `x` given `y = A x + noise`, a mixture again.

        Component `k` becomes `N(m_k + K (y - A m_k), (I - K A) S_k)` with
        `K = S_k A^T (A S_k A^T + Sigma)^{-1}`, and its weight is multiplied by the density of `y`
        under it, `N(A m_k, A S_k A^T + Sigma)`.

        Args:
            matrix: `A`, `(m, d)`.
            y: `(m,)`.
            variance: of the noise, positive, one for all measured numbers or one each, `(m,)`.

        Components without any weight in the precision of the mixture are left out.

        >>> prior = GaussianMixture(torch.zeros(1, 1), 1.0)
        >>> prior.posterior(torch.ones(1, 1), torch.tensor([2.0]), 1.0).mean
        tensor([1.])
        """
        joint, gain, spread, gap = self._measured(matrix, y, variance)
        weights = joint.softmax(0).to(self.means)
        kept = weights > 0
        means = self.means.double() + (gain @ gap.unsqueeze(-1)).squeeze(-1)
        # Joseph's form: positive definite whatever the rounding.
        a = matrix.double()
        left = torch.eye(a.shape[1], dtype=a.dtype, device=a.device) - gain @ a
        noise = torch.as_tensor(variance).to(a).expand(len(a))
        covariances = left @ spread @ left.mT + (gain * noise) @ gain.mT
        found = (means[kept].to(self.means), covariances[kept].to(self.means))
        return GaussianMixture(*found, weights[kept] / weights[kept].sum())

    def log_evidence(self, matrix: Tensor, y: Tensor, variance: Tensor | float) -> Tensor:
        """`log p(y)` for `y = A x + noise`, `()`; see `posterior`.

        >>> prior = GaussianMixture(torch.zeros(1, 1), 1.0)
        >>> prior.log_evidence(torch.ones(1, 1), torch.tensor([0.0]), 1.0)  # N(0; 0, 2)
        tensor(-1.2655)
        """
        return self._measured(matrix, y, variance)[0].logsumexp(0).to(self.means)

    def _measured(
        self, matrix: Tensor, y: Tensor, variance: Tensor | float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """In double precision, the joint log-densities `(K,)` of measurement and component, the
        gains `(K, d, m)`, the covariances `(K, d, d)` and what the means leave of `y`, `(K, m)`."""
        if (
            matrix.ndim != 2
            or matrix.shape[1] != self.means.shape[1]
            or y.shape != matrix.shape[:1]
        ):
            raise InputError(
                f"a measurement of states of {self.means.shape[1]} numbers has a matrix (m, "
                f"{self.means.shape[1]}) and y (m,), not {tuple(matrix.shape)} and {tuple(y.shape)}"
            )
        a = matrix.double()
        noise = torch.as_tensor(variance).to(a)
        if not bool((noise > 0).all()):
            raise InputError(f"the variance of the noise is positive, not {variance}")
        spread = torch.diag_embed(self.variances.double())
        if self.rotation is not None:
            rotation = self.rotation.double()
            spread = rotation @ spread @ rotation.mT
        observed = a @ spread @ a.mT + torch.diag(noise.expand(len(a)))
        gap = y.double() - self.means.double() @ a.mT
        factor = torch.linalg.cholesky(observed)
        gain = torch.cholesky_solve(a @ spread, factor).mT
        white = torch.linalg.solve_triangular(factor, gap.unsqueeze(-1), upper=False).squeeze(-1)
        log_det = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        constant = 0.5 * len(a) * math.log(2 * math.pi)
        log_prob = -0.5 * white.square().sum(-1) - log_det - constant
        return self.weights.double().log() + log_prob, gain, spread, gap

    def _isotropic_mean(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """The posterior mean without tensors `(B, K, d)`, which for data sets are gigabytes."""
        own = self.variances[:, 0]
        variance = alpha**2 * own + sigma**2
        weights = softmax(self._log_joint(x, alpha, sigma))
        gain = alpha * own / variance
        means = (sigma**2 / variance).unsqueeze(-1) * self.means
        return weights @ means + (weights @ gain).unsqueeze(-1) * x

    def _log_joint(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Joint log-densities `(B, K)` of point and component.

        Without tensors `(B, K, d)` where components have no rotation: products of matrices, in
        double precision about the mean.
        """
        if self.rotation is not None:
            return self._joint(x, alpha, sigma)[0]
        self._check(x)
        at, means = centered(alpha * self.mean.detach(), x, alpha * self.means)
        variances = (alpha**2 * self.variances + sigma**2).to(at)
        if self._isotropic:
            quadratic = squared_distances(at, means) / variances[:, 0]
        else:
            terms = torch.cat([at.square(), at, torch.ones_like(at[:, :1])], 1)
            constants = (means.square() / variances).sum(1, keepdim=True)
            factors = torch.cat([1 / variances, -2 * means / variances, constants], 1)
            quadratic = (terms @ factors.mT).clamp(min=0)
        constant = variances.log().sum(1) + x.shape[1] * math.log(2 * math.pi)
        return (self.weights.to(at).log() - 0.5 * (quadratic + constant)).to(x)

    def _check(self, x: Tensor) -> None:
        """Raise `InputError` for what are no states of the mixture."""
        if x.ndim != 2 or x.shape[1] != self.means.shape[1]:
            raise InputError(f"states have shape (B, {self.means.shape[1]}), not {tuple(x.shape)}")
        if x.dtype != self.means.dtype:
            raise InputError(f"the mixture is {self.means.dtype}, the states are {x.dtype}")

    def _joint(self, x: Tensor, alpha: Weight, sigma: Weight) -> tuple[Tensor, Tensor, Tensor]:
        """Joint log-densities `(B, K)` of point and component; gaps and variances `(B, K, d)`,
        both in the eigenbasis of each component."""
        self._check(x)
        gap = x.unsqueeze(1) - _column(alpha) * self.means
        if self.rotation is not None:
            gap = torch.einsum("kij,bki->bkj", self.rotation, gap)
        variance = _column(alpha) ** 2 * self.variances + _column(sigma) ** 2
        quadratic = (gap.square() / variance + variance.log()).sum(-1)
        constant = gap.shape[-1] * math.log(2 * math.pi)
        return self.weights.log() - 0.5 * (quadratic + constant), gap, variance

    def _average(self, weights: Tensor, vectors: Tensor) -> Tensor:
        """The average over components of vectors in their eigenbases, `(B, d)`."""
        if self.rotation is None:
            return torch.einsum("bk,bkd->bd", weights, vectors)
        # The weights first: with the rotations first there would be a matrix for each state.
        return torch.einsum("bkj,kij->bi", weights.unsqueeze(-1) * vectors, self.rotation)


def _column(a: Weight) -> Weight:
    """A weight that multiplies `(B, K, d)`: floats pass, `(B,)` becomes `(B, 1, 1)`."""
    if isinstance(a, Tensor) and a.ndim:
        return a.reshape(-1, 1, 1)
    return a


_FEW = 128
"""Numbers in all means below which gaps are quicker than products of matrices."""


def _is_large(x: Tensor, means: Tensor) -> bool:
    """Whether gaps of all states from all means would take long, or fill the memory."""
    return means.numel() >= _FEW or x.shape[0] * means.numel() > 1 << 22
