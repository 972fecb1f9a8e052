"""The normal distribution on the circle."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward._random import normal, resolve
from pushforward.checks import positive
from pushforward.spaces.torus import windings, wrap

__all__ = ["WrappedNormal"]


class WrappedNormal:
    """`N(mean, std^2)` wrapped to [-pi, pi), on events `(1,)`.

    Brownian motion keeps the family: after variance `v` the distribution is wrapped normal with
    `std^2 + v`. Its mean resultant is `exp(-std^2 / 2)`.

    >>> WrappedNormal(3.0, 0.5).sample(2, seed=0).shape
    torch.Size([2, 1])
    """

    def __init__(self, mean: float, std: float) -> None:
        self.mean, self.std = mean, positive("std", std)

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """`n` draws, `(n, 1)`."""
        noise = normal((n, 1), resolve(seed, generator, rows=n))
        return wrap(self.mean + self.std * noise)

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density per radian, `(B,)`."""
        z = (wrap(x - self.mean) + windings(self.std).to(x)) / self.std
        constant = math.log(self.std) + 0.5 * math.log(2 * math.pi)
        return torch.logsumexp(-0.5 * z.square(), -1) - constant
