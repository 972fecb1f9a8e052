"""The distribution of a missing point, one for each set of a batch, given what is left of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward._random import fork, normal_like, resolve, uniform_like
from pushforward.protocols import Distribution

__all__ = ["PointMixtures", "SharedDistribution", "mixture_size", "point_mixtures"]

_COMPONENTS = 8


@dataclass(frozen=True)
class SharedDistribution:
    """One and the same distribution for each set of a batch.

    >>> from pushforward.distributions import Normal
    >>> SharedDistribution(Normal((2,)), batch=3).sample(4, seed=0).shape
    torch.Size([4, 3, 2])
    """

    shared: Distribution
    batch: int

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """`n` independent points for each set, `(n, B, d)`."""
        if generator is None:
            generator = resolve(seed, rows=self.batch)
        points = self.shared.sample(self.batch * n, generator=fork(generator, copies=n))
        return torch.as_tensor(points).reshape(self.batch, n, -1).transpose(0, 1)

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density of points `(n, B, d)`, `(n, B)`."""
        return self.shared.log_prob(x.reshape(-1, x.shape[-1])).reshape(x.shape[:-1])


class PointMixtures(NamedTuple):
    """A mixture of Gaussians with independent coordinates, another one for each set.

    Args:
        logits: of the components, `(B, K)`.
        means: `(B, K, d)`.
        log_std: `(B, K, d)`.
    """

    logits: Tensor
    means: Tensor
    log_std: Tensor

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """`n` independent points for each set, `(n, B, d)`."""
        batch = len(self.logits)
        generator = resolve(seed, generator, self.logits.device, rows=batch)
        u = uniform_like(self.logits.new_empty(batch, n), generator)
        chances = self.logits.softmax(-1).cumsum(-1)
        # Rounding may leave the last sum a little below one.
        kind = torch.searchsorted(chances, u.contiguous()).clamp(max=chances.shape[-1] - 1)
        index = kind.unsqueeze(-1).expand(-1, -1, self.means.shape[-1])
        mean, log_std = self.means.gather(1, index), self.log_std.gather(1, index)
        return (mean + log_std.exp() * normal_like(mean, generator)).transpose(0, 1)

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density of points `(n, B, d)`, `(n, B)`."""
        white = (x.unsqueeze(2) - self.means) * (-self.log_std).exp()
        each = -0.5 * (white.square() + math.log(2 * math.pi)) - self.log_std
        return (self.logits.log_softmax(-1) + each.sum(-1)).logsumexp(-1)


def mixture_size(dim: int) -> int:
    """How many numbers say a mixture of points of R^d.

    >>> mixture_size(2)
    40
    """
    return _COMPONENTS * (1 + 2 * dim)


def point_mixtures(numbers: Tensor, dim: int) -> PointMixtures:
    """The mixtures that `(B, mixture_size(dim))` numbers say.

    All zeros stand for components spread over the standard normal distribution, each of half its
    width, so that an untrained network is a fair guess for standardized points.
    """
    logits, means, log_std = numbers.split((_COMPONENTS, _COMPONENTS * dim, _COMPONENTS * dim), -1)
    spread = torch.linspace(-1.5, 1.5, _COMPONENTS, dtype=numbers.dtype, device=numbers.device)
    means = means.reshape(-1, _COMPONENTS, dim) + spread.unsqueeze(-1)
    # Within exp(7) of the unit, so that no density of a single point runs away.
    log_std = 7 * torch.tanh(log_std.reshape(-1, _COMPONENTS, dim) / 7) + math.log(0.5)
    return PointMixtures(logits, means, log_std)
