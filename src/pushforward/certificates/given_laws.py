r"""The law of each row given its own label or context, in closed form.

Given the context a mixture of states and contexts is a mixture of states with the same covariances,

    m_k(c) = m_k + A_k (c - m_k^c),    S_k - A_k S_k^{cx},    A_k = S_k^{xc} (S_k^{cc})^{-1},

and weights proportional to `w_k N(c; m_k^c, S_k^{cc})`: only means and weights change from row to
row. So it is with one mixture for each label, put side by side: a row has weight on its own only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.certificates.laws import ExactLaw
from pushforward.distributions import GaussianMixture
from pushforward.errors import InputError

__all__ = ["GivenLaw"]


class GivenLaw(ExactLaw):
    """A Gaussian mixture for each row, in the units of the process.

    States that it is asked about are one for each row, in their order.

    Args:
        log_weights: of the components, `(n, K)`.
        means: `(n, K, d)`.
        covariances: `(K, d, d)`.

    >>> joint = GaussianMixture(torch.zeros(1, 2).double(),
    ...                         torch.tensor([[[1.0, 0.5], [0.5, 1.0]]]).double())
    >>> law = GivenLaw.of_joint(joint, torch.tensor([[2.0], [0.0]]).double())
    >>> law.posterior_mean(torch.zeros(2, 1).double(), 1.0, 1e6).flatten()  # E[x | c] = c / 2
    tensor([1.0000, 0.0000], dtype=torch.float64)
    """

    def __init__(self, log_weights: Tensor, means: Tensor, covariances: Tensor) -> None:
        self.log_weights, self.means = log_weights, means
        self.variances, self.rotation = torch.linalg.eigh(covariances)

    @classmethod
    def of_joint(cls, joint: GaussianMixture, c: Tensor) -> GivenLaw:
        """From a mixture of states and contexts side by side, and the contexts `(n, k)`."""
        d = joint.means.shape[1] - c.shape[1]
        if d < 1:
            raise InputError(
                f"the law is one of {joint.means.shape[1]} numbers, state and context side by "
                f"side, and the contexts alone have {c.shape[1]}"
            )
        cov, c = joint.component_covariances.double(), c.double()
        means = joint.means.double()
        own, cross, within = cov[:, :d, :d], cov[:, :d, d:], cov[:, d:, d:]
        factor = torch.linalg.cholesky(within)
        gain = torch.cholesky_solve(cross.mT, factor).mT
        gap = c[:, None] - means[:, d:]
        white = torch.linalg.solve_triangular(factor, gap.unsqueeze(-1), upper=False).squeeze(-1)
        log_det = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        log_weights = joint.weights.double().log() - 0.5 * white.square().sum(-1) - log_det
        moved = means[:, :d] + (gain @ gap.unsqueeze(-1)).squeeze(-1)
        return cls(log_weights, moved, own - gain @ cross.mT)

    @classmethod
    def of_labels(cls, laws: Sequence[GaussianMixture], c: Tensor) -> GivenLaw:
        """From a mixture for each label, and the labels `(n,)`."""
        if not bool(((c >= 0) & (c < len(laws))).all()):
            raise InputError(
                f"{len(laws)} laws are for labels below {len(laws)}, not {int(c.max())}"
            )
        of = torch.cat([torch.full((len(law.means),), k) for k, law in enumerate(laws)])
        weights = torch.cat([law.weights.double() for law in laws]).log().expand(len(c), -1)
        own = of == c.cpu()[:, None]
        means = torch.cat([law.means.double() for law in laws]).expand(len(c), -1, -1)
        covariances = torch.cat([law.component_covariances.double() for law in laws])
        return cls(weights.masked_fill(~own, -math.inf), means, covariances)

    def posterior_mean(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """`E[x_0 | x, c]` of each row."""
        weights, means, _ = self._components(x, alpha, sigma)
        return (weights.unsqueeze(-1) * means).sum(1)

    def spread(self, z: Tensor, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """The trace of the posterior covariance of each row."""
        weights, means, within = self._components(x, alpha, sigma)
        mean = (weights.unsqueeze(-1) * means).sum(1)
        return (weights * (within + means.square().sum(-1))).sum(1) - mean.square().sum(1)

    def _components(self, x: Tensor, alpha: float, sigma: float) -> tuple[Tensor, Tensor, Tensor]:
        """Of each component: its weight and mean given `x`, and the trace of its covariance."""
        noised = alpha**2 * self.variances + sigma**2
        gap = x[:, None] - alpha * self.means
        gap = torch.einsum("kji,bkj->bki", self.rotation, gap)
        logits = self.log_weights - 0.5 * (gap.square() / noised + noised.log()).sum(-1)
        gain = alpha * self.variances / noised
        move = torch.einsum("kij,bkj->bki", self.rotation, gain * gap)
        within = (self.variances - alpha * gain * self.variances).sum(-1)
        return torch.softmax(logits, 1), self.means + move, within
