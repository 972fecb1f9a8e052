"""Distributions made of noise: what an encoder, a decoder or a prior returns.

Each is a `Distribution` or a batch of `B` of them; an encoder and a decoder are functions that
return one, `q(z | x, c)` and `p(x | z, c)`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from pushforward._random import categories, normal_like, resolve
from pushforward.transforms import Transform

__all__ = ["DiagonalNormal", "FullNormal", "Mixture", "Reparametrized", "Transformed"]


class Reparametrized(ABC):
    """A distribution, or a batch of `B` of one event shape, as a function of noise.

    Noise and states have shape `(..., B, *event)`, log-densities `(..., B)`; a single distribution
    has no `B`. `sample(n)` is `(n, B, *event)`.
    """

    @property
    @abstractmethod
    def location(self) -> Tensor:
        """A tensor of the shape, precision and device of one draw of each, `(B, *event)`.

        Where each, or the Gaussian that it is made of, has its mean.
        """

    @abstractmethod
    def push(self, noise: Tensor) -> Tensor:
        """The states that noise becomes, shaped like it."""

    @abstractmethod
    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density or log-probability of states."""

    @staticmethod
    def noise(like: Tensor, generator: torch.Generator | None) -> Tensor:
        """What `push` takes: standard normal unless a class says otherwise."""
        return normal_like(like, generator)

    def middle(self) -> Tensor:
        """The states that no noise becomes, `(B, *event)`."""
        return self.push(torch.zeros_like(self.location))

    def push_and_log_prob(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The states that noise becomes, and their log-densities."""
        x = self.push(noise)
        return x, self.log_prob(x)

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """`n` draws, of each of a batch, `(n, B, *event)`."""
        like = self.location.new_empty(n, *self.location.shape)
        return self.push(self.noise(like, resolve(seed, generator, like.device)))

    def divergence(self) -> Tensor | None:
        """The divergence `KL(q || N(0, I))`, `(B, groups)`, in groups of independent dimensions.

        `None` where it has no closed form.
        """
        return None


class DiagonalNormal(Reparametrized):
    """`N(mean, diag(std)^2)`: independent entries.

    Args:
        mean: `(B, *event)`.
        std: positive, anything that broadcasts to the mean.
        event_dims: how many axes an event has.

    >>> DiagonalNormal(torch.zeros(1, 2), torch.ones(1, 2)).divergence()
    tensor([[0., 0.]])
    """

    def __init__(self, mean: Tensor, std: Tensor, event_dims: int = 1) -> None:
        self.mean, self.std, self._axes = mean, std, tuple(range(-event_dims, 0))

    @property
    def location(self) -> Tensor:
        """The mean."""
        return self.mean

    def push(self, noise: Tensor) -> Tensor:
        """`mean + std noise`."""
        return self.mean + self.std * noise

    def push_and_log_prob(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The density of the noise, without going back to it."""
        return self.push(noise), self._density(noise)

    def log_prob(self, x: Tensor) -> Tensor:
        """`log N(x; mean, std^2)`."""
        return self._density((x - self.mean) / self.std)

    def take(self, index: Tensor) -> DiagonalNormal:
        """Those of a batch that an index `(M,)` names."""
        std = self.std.expand_as(self.mean)[index]
        return DiagonalNormal(self.mean[index], std, len(self._axes))

    def divergence(self) -> Tensor:
        """`(mean^2 + std^2 - 1) / 2 - log std` in each dimension, `(B, d)`."""
        return 0.5 * (self.mean.square() + self.std.square() - 1) - self.std.log()

    def _density(self, noise: Tensor) -> Tensor:
        normalizer = (self.std.log() + 0.5 * math.log(2 * math.pi)).expand_as(self.mean)
        return -0.5 * noise.square().sum(self._axes) - normalizer.sum(self._axes)


class FullNormal(Reparametrized):
    """Gaussian vectors with any covariance `L L^T`.

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

    def push(self, noise: Tensor) -> Tensor:
        """`mean + L noise`."""
        return self.mean + (self.factor @ noise.unsqueeze(-1)).squeeze(-1)

    def push_and_log_prob(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The density of the noise, without going back to it."""
        return self.push(noise), self._density(noise)

    def log_prob(self, x: Tensor) -> Tensor:
        """`log N(x; mean, L L^T)`."""
        gap = (x - self.mean).unsqueeze(-1)
        return self._density(torch.linalg.solve_triangular(self.factor, gap, upper=False)[..., 0])

    def take(self, index: Tensor) -> FullNormal:
        """Those of a batch that an index `(M,)` names."""
        return FullNormal(self.mean[index], self.factor[index])

    def divergence(self) -> Tensor:
        """`(|mean|^2 + |L|^2 - d) / 2 - log det L`, `(B, 1)`."""
        squares = self.mean.square().sum(-1) + self.factor.square().sum((-2, -1))
        found = 0.5 * (squares - self.mean.shape[-1]) - self._log_det()
        return found.unsqueeze(-1)

    def _density(self, noise: Tensor) -> Tensor:
        standard = noise.square().sum(-1) + noise.shape[-1] * math.log(2 * math.pi)
        return -0.5 * standard - self._log_det()

    def _log_det(self) -> Tensor:
        return self.factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)


class Transformed(Reparametrized):
    """A distribution of vectors seen through a bijection, `z = f(z_0; c)` (Rezende & Mohamed 2015).

    Args:
        base: that of `z_0`.
        transform: `f`.
        c: a context of the transform for each of a batch, `(B, F)`, if it takes one.
    """

    def __init__(
        self, base: DiagonalNormal | FullNormal, transform: Transform, c: Tensor | None = None
    ) -> None:
        self.base, self.transform, self.c = base, transform, c

    @property
    def location(self) -> Tensor:
        """That of the base."""
        return self.base.location

    def push(self, noise: Tensor) -> Tensor:
        """The base's draws, transformed."""
        return self.push_and_log_prob(noise)[0]

    def push_and_log_prob(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The base's draws, transformed, with the log-determinant."""
        start, log_prob = self.base.push_and_log_prob(noise)
        lead = start.shape[:-1]
        z, log_det = self.transform.push(start.flatten(0, -2), self._contexts(lead))
        return z.reshape(start.shape), log_prob - log_det.reshape(lead)

    def log_prob(self, x: Tensor) -> Tensor:
        """The density of the base at the preimage, and the log-determinant."""
        lead = x.shape[:-1]
        start, log_det = self.transform.inverse(x.flatten(0, -2), self._contexts(lead))
        return self.base.log_prob(start.reshape(x.shape)) + log_det.reshape(lead)

    def take(self, index: Tensor) -> Transformed:
        """Those of a batch that an index `(M,)` names."""
        c = None if self.c is None else self.c[index]
        return Transformed(self.base.take(index), self.transform, c)

    def _contexts(self, lead: torch.Size) -> Tensor | None:
        return None if self.c is None else self.c.expand(*lead, -1).flatten(0, -2)


class Mixture:
    """One distribution, the mixture of a batch of `K`.

    Args:
        components: a batch of `K` on vectors.
        log_weights: `(K,)`, normalized.

    >>> two = DiagonalNormal(torch.tensor([[-1.0], [1.0]]), torch.ones(2, 1))
    >>> Mixture(two, torch.full((2,), 0.5).log()).log_prob(torch.zeros(1, 1)).exp()
    tensor([0.2420])
    """

    def __init__(
        self, components: DiagonalNormal | FullNormal | Transformed, log_weights: Tensor
    ) -> None:
        self.components, self.log_weights = components, log_weights

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density of vectors `(..., d)`, `(...)`."""
        each = x.unsqueeze(-2).expand(*x.shape[:-1], len(self.log_weights), x.shape[-1])
        return (self.components.log_prob(each) + self.log_weights).logsumexp(-1)

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """`n` draws, `(n, d)`."""
        weights = self.log_weights.exp()
        generator = resolve(seed, generator, weights.device, rows=n)
        k = categories(weights, n, generator)
        drawn = self.components.take(k)
        return drawn.push(drawn.noise(drawn.location, generator))
