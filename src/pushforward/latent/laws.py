"""Laws of latent vectors: what an encoder says of one data point, and what a prior is."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from pushforward._random import categories, normal_like
from pushforward.transforms import Transform

__all__ = ["FullNormal", "Law", "Mixture", "Normal", "Transformed"]


class Law(ABC):
    """A batch of `B` laws on R^d, made of standard normal noise.

    Noise and latents have shape `(..., B, d)`; with a single law, `B` is 1 and broadcasts.
    """

    @property
    @abstractmethod
    def location(self) -> Tensor:
        """Where each law, or the Gaussian that it is made of, has its mean, `(B, d)`."""

    @abstractmethod
    def push(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The latents `z` that noise becomes, shaped like it, and `log q(z)`, `(..., B)`."""

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """`log q(z)` of latents `(..., B, d)`, `(..., B)`."""

    @abstractmethod
    def take(self, index: Tensor) -> Law:
        """The laws that an index `(M,)` names, as a batch of `M`."""

    def divergence(self) -> Tensor | None:
        """The divergence `KL(q || N(0, I))`, `(B, groups)`, in groups of independent dimensions.

        `None` where it has no closed form.
        """
        return None

    @property
    def middle(self) -> Tensor:
        """Where the noise is zero, `(B, d)`."""
        return self.push(torch.zeros_like(self.location))[0]

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """`n` draws of a single law, `(n, d)`."""
        like = self.location.new_empty(n, self.location.shape[-1])
        return self.push(normal_like(like, generator))[0]


class Normal(Law):
    """Gaussians with independent dimensions.

    Args:
        mean: `(B, d)`.
        std: `(B, d)`, positive.

    >>> law = Normal(torch.zeros(1, 2), torch.ones(1, 2))
    >>> law.divergence()
    tensor([[0., 0.]])
    """

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        self.mean, self.std = mean, std

    @property
    def location(self) -> Tensor:
        """The mean."""
        return self.mean

    def push(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """`z = mean + std noise`."""
        return self.mean + self.std * noise, self._density(noise)

    def log_prob(self, z: Tensor) -> Tensor:
        """`log N(z; mean, std^2)`."""
        return self._density((z - self.mean) / self.std)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """`n` draws of a single law, `(n, d)`, without their density."""
        noise = normal_like(self.mean.new_empty(n, self.mean.shape[-1]), generator)
        return self.mean + self.std * noise

    def take(self, index: Tensor) -> Normal:
        """Some of the laws."""
        return Normal(self.mean[index], self.std[index])

    def divergence(self) -> Tensor:
        """`(mean^2 + std^2 - 1) / 2 - log std` in each dimension, `(B, d)`."""
        return 0.5 * (self.mean.square() + self.std.square() - 1) - self.std.log()

    def _density(self, noise: Tensor) -> Tensor:
        return _standard(noise) - self.std.log().sum(-1)


class FullNormal(Law):
    """Gaussians with any covariance `L L^T`.

    Args:
        mean: `(B, d)`.
        factor: `L`, `(B, d, d)`, lower triangular with a positive diagonal.

    >>> FullNormal(torch.zeros(1, 2), torch.eye(2).unsqueeze(0)).log_prob(torch.zeros(1, 2)).exp()
    tensor([0.1592])
    """

    def __init__(self, mean: Tensor, factor: Tensor) -> None:
        self.mean, self.factor = mean, factor

    @property
    def location(self) -> Tensor:
        """The mean."""
        return self.mean

    def push(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """`z = mean + L noise`."""
        z = self.mean + (self.factor @ noise.unsqueeze(-1)).squeeze(-1)
        return z, _standard(noise) - self._log_det()

    def log_prob(self, z: Tensor) -> Tensor:
        """`log N(z; mean, L L^T)`."""
        gap = (z - self.mean).unsqueeze(-1)
        noise = torch.linalg.solve_triangular(self.factor, gap, upper=False).squeeze(-1)
        return _standard(noise) - self._log_det()

    def take(self, index: Tensor) -> FullNormal:
        """Some of the laws."""
        return FullNormal(self.mean[index], self.factor[index])

    def divergence(self) -> Tensor:
        """`(|mean|^2 + |L|^2 - d) / 2 - log det L`, `(B, 1)`."""
        squares = self.mean.square().sum(-1) + self.factor.square().sum((-2, -1))
        found = 0.5 * (squares - self.mean.shape[-1]) - self._log_det()
        return found.unsqueeze(-1)

    def _log_det(self) -> Tensor:
        return self.factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)


class Transformed(Law):
    """A law seen through a bijection, `z = f(z_0; c)` (Rezende & Mohamed 2015).

    Args:
        base: the law of `z_0`.
        transform: `f`.
        c: a context of the transform for each law, `(B, F)`, if it takes one.
    """

    def __init__(self, base: Law, transform: Transform, c: Tensor | None = None) -> None:
        self.base, self.transform, self.c = base, transform, c

    @property
    def location(self) -> Tensor:
        """That of the base."""
        return self.base.location

    def push(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The base's draws, transformed."""
        start, log_prob = self.base.push(noise)
        lead = start.shape[:-1]
        z, log_det = self.transform.push(start.flatten(0, -2), self._contexts(lead))
        return z.reshape(start.shape), log_prob - log_det.reshape(lead)

    def log_prob(self, z: Tensor) -> Tensor:
        """The density of the base at the preimage, and the log-determinant."""
        lead = z.shape[:-1]
        start, log_det = self.transform.inverse(z.flatten(0, -2), self._contexts(lead))
        return self.base.log_prob(start.reshape(z.shape)) + log_det.reshape(lead)

    def take(self, index: Tensor) -> Transformed:
        """Some of the laws."""
        c = None if self.c is None else self.c[index]
        return Transformed(self.base.take(index), self.transform, c)

    def _contexts(self, lead: torch.Size) -> Tensor | None:
        return None if self.c is None else self.c.expand(*lead, -1).flatten(0, -2)


class Mixture:
    """One law, the mixture of a batch of `K`.

    Args:
        components: a batch of `K` laws.
        log_weights: `(K,)`, normalized.

    >>> two = Normal(torch.tensor([[-1.0], [1.0]]), torch.ones(2, 1))
    >>> Mixture(two, torch.full((2,), 0.5).log()).log_prob(torch.zeros(1, 1)).exp()
    tensor([0.2420])
    """

    def __init__(self, components: Law, log_weights: Tensor) -> None:
        self.components, self.log_weights = components, log_weights

    def log_prob(self, z: Tensor) -> Tensor:
        """The log-density of latents `(..., d)`, `(...)`."""
        each = z.unsqueeze(-2).expand(*z.shape[:-1], len(self.log_weights), z.shape[-1])
        return (self.components.log_prob(each) + self.log_weights).logsumexp(-1)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """`n` draws, `(n, d)`."""
        weights = self.log_weights.exp()
        k = categories(weights, n, generator)
        chosen = self.components.take(k)
        return chosen.push(normal_like(chosen.location, generator))[0]


def _standard(noise: Tensor) -> Tensor:
    return -0.5 * (noise.square().sum(-1) + noise.shape[-1] * math.log(2 * math.pi))
