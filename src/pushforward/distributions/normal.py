"""Centered normal distributions, white and colored."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from pushforward._random import normal, resolve
from pushforward.checks import positive, whole
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.spaces import Euclidean, LinearSpace

__all__ = ["ColoredNormal", "Normal"]


@configurable
class Normal:
    """`N(0, scale^2 C)` with `C` the noise of a linear space: the prior of diffusion.

    >>> Normal((2, 3)).sample(4, seed=0).shape
    torch.Size([4, 2, 3])
    """

    unconstrained: ClassVar[None] = None
    """States have no bounds to be taken away."""

    def __init__(
        self,
        shape: tuple[int, ...],
        scale: float = 1.0,
        space: LinearSpace | None = None,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        if not isinstance(shape, (tuple, list)):
            raise InputError(f"shape is that of a state, such as (2,), not {shape!r}")
        self.shape = tuple(whole("shape", side, least=1) for side in shape)
        self.scale = positive("scale", scale)
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
        volume = self.space.dimension(self.shape) * math.log(self.scale)
        return self.space.noise_log_prob(x / self.scale) - volume


@configurable
class ColoredNormal:
    """`N(mean, covariance)` on vectors of `n` grid values, such as a Gaussian process on a grid.

    >>> distribution = ColoredNormal(torch.tensor([[2.0, 1.0], [1.0, 2.0]]))
    >>> distribution.sample(3, seed=0).shape
    torch.Size([3, 2])
    """

    unconstrained: ClassVar[None] = None
    """States have no bounds to be taken away."""

    def __init__(self, covariance: Tensor, mean: Tensor | None = None) -> None:
        if not isinstance(covariance, Tensor) or not covariance.is_floating_point():
            raise InputError(f"covariance is a tensor of real numbers, not {covariance!r}")
        if covariance.ndim != 2 or covariance.shape[0] != covariance.shape[1]:
            raise InputError(f"covariance is a square matrix, not of {tuple(covariance.shape)}")
        if mean is not None and (
            not isinstance(mean, Tensor) or mean.shape != covariance.shape[:1]
        ):
            raise InputError(f"mean is a tensor of shape {tuple(covariance.shape[:1])}")
        if not covariance.isfinite().all() or torch.linalg.cholesky_ex(covariance).info > 0:
            raise InputError("covariance is not positive definite: add a small multiple of eye(n)")
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
