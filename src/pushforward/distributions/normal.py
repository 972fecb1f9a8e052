"""Centered normal distributions, white and colored."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward._random import normal, resolve
from pushforward.checks import positive
from pushforward.errors import InputError
from pushforward.spaces import Euclidean, LinearSpace

__all__ = ["ColoredNormal", "Normal"]


class Normal:
    """`N(0, scale^2 C)` with `C` the noise of a linear space: the prior of diffusion.

    >>> Normal((2, 3)).sample(4, seed=0).shape
    torch.Size([4, 2, 3])
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        scale: float = 1.0,
        space: LinearSpace | None = None,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        self.shape, self.scale = tuple(shape), positive("scale", scale)
        self.space = space or Euclidean()
        self.dtype, self.device = dtype, device

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """`n` draws, `(n, *shape)`, on the generator's device if one is given."""
        device = self.device if generator is None else generator.device
        origin = torch.zeros(n, *self.shape, dtype=self.dtype, device=device)
        return self.scale * self.space.randn(origin, resolve(seed, generator, device, rows=n))

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density, `(B,)`.

        >>> round(Normal((1,)).log_prob(torch.zeros(1, 1)).item(), 4)
        -0.9189
        """
        if tuple(x.shape[1:]) != self.shape:
            raise InputError(f"states have shape (B, *{self.shape}), not {tuple(x.shape)}")
        volume = math.prod(self.shape) * math.log(self.scale)
        return self.space.noise_log_prob(x / self.scale) - volume


class ColoredNormal:
    """`N(mean, covariance)` on vectors of `n` grid values, such as a Gaussian process on a grid.

    >>> distribution = ColoredNormal(torch.tensor([[2.0, 1.0], [1.0, 2.0]]))
    >>> distribution.sample(3, seed=0).shape
    torch.Size([3, 2])
    """

    def __init__(self, covariance: Tensor, mean: Tensor | None = None) -> None:
        self.covariance = covariance
        self.mean = torch.zeros_like(covariance[0]) if mean is None else mean
        self._law = torch.distributions.MultivariateNormal(self.mean, covariance)

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """`n` draws, `(n, d)`."""
        generator = resolve(seed, generator, self.covariance.device, rows=n)
        noise = normal((n, len(self.mean)), generator, dtype=self.covariance.dtype)
        return self.mean + noise @ self._law.scale_tril.mT

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density with respect to the grid values, `(B,)`."""
        return self._law.log_prob(x)
