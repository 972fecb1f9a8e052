"""The distribution of a missing point of a set, given what is left of the set."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from pushforward._random import fork, normal_like, uniform_like
from pushforward.distributions import Distribution

__all__ = ["MixtureLaw", "PointLaw", "SharedLaw", "mixture_law", "mixture_size"]

_COMPONENTS = 8


class PointLaw(Protocol):
    """The distribution of one missing point, given each set of the batch."""

    def draw(self, shape: tuple[int, int], generator: torch.Generator | None) -> Tensor:
        """Points for `(B, slots)`, shape `(B, slots, d)`."""

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density of points `(B, slots, d)`, shape `(B, slots)`."""


@dataclass(frozen=True)
class SharedLaw:
    """One distribution for the missing points of every set.

    >>> from pushforward.distributions import Normal
    >>> SharedLaw(Normal((2,))).draw((3, 4), torch.Generator().manual_seed(0)).shape
    torch.Size([3, 4, 2])
    """

    law: Distribution

    def draw(self, shape: tuple[int, int], generator: torch.Generator | None) -> Tensor:
        """Independent points, `(B, slots, d)`."""
        noise = fork(generator, copies=shape[1])
        return self.law.sample(shape[0] * shape[1], generator=noise).reshape(*shape, -1)

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density of each point, `(B, slots)`."""
        return self.law.log_prob(x.reshape(-1, x.shape[-1])).reshape(x.shape[:-1])


class MixtureLaw(NamedTuple):
    """A mixture of Gaussians with independent coordinates, another one for each set.

    Args:
        logits: of the components, `(B, K)`.
        means: `(B, K, d)`.
        log_std: `(B, K, d)`.
    """

    logits: Tensor
    means: Tensor
    log_std: Tensor

    def draw(self, shape: tuple[int, int], generator: torch.Generator | None) -> Tensor:
        """Independent points for the slots of each set, `(B, slots, d)`."""
        batch, slots = shape
        u = uniform_like(self.logits.new_empty(batch, slots), generator)
        chances = self.logits.softmax(-1).cumsum(-1)
        # Rounding may leave the last sum a little below one.
        kind = torch.searchsorted(chances, u.contiguous()).clamp(max=chances.shape[-1] - 1)
        index = kind.unsqueeze(-1).expand(-1, -1, self.means.shape[-1])
        mean, log_std = self.means.gather(1, index), self.log_std.gather(1, index)
        return mean + log_std.exp() * normal_like(mean, generator)

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density of each point, `(B, slots)`."""
        white = (x.unsqueeze(2) - self.means.unsqueeze(1)) * (-self.log_std).exp().unsqueeze(1)
        each = -0.5 * (white.square() + math.log(2 * math.pi)) - self.log_std.unsqueeze(1)
        return (self.logits.log_softmax(-1).unsqueeze(1) + each.sum(-1)).logsumexp(-1)


def mixture_size(dim: int) -> int:
    """How many numbers say a mixture of points of R^d.

    >>> mixture_size(2)
    40
    """
    return _COMPONENTS * (1 + 2 * dim)


def mixture_law(numbers: Tensor, dim: int) -> MixtureLaw:
    """The mixture that `(B, mixture_size(dim))` numbers say.

    All zeros stand for components spread over the standard normal distribution, each of half its
    width, so that an untrained network is a fair guess for standardized points.
    """
    logits, means, log_std = numbers.split((_COMPONENTS, _COMPONENTS * dim, _COMPONENTS * dim), -1)
    spread = torch.linspace(-1.5, 1.5, _COMPONENTS, dtype=numbers.dtype, device=numbers.device)
    means = means.reshape(-1, _COMPONENTS, dim) + spread.unsqueeze(-1)
    # Within exp(7) of the unit, so that no density of a single point runs away.
    log_std = 7 * torch.tanh(log_std.reshape(-1, _COMPONENTS, dim) / 7) + math.log(0.5)
    return MixtureLaw(logits, means, log_std)
