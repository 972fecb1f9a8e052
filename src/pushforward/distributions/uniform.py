"""The uniform distribution on a compact manifold."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.spaces import Manifold

__all__ = ["ManifoldUniform"]


class ManifoldUniform:
    """Uniform on a manifold, the prior to which Brownian motion on it converges.

    >>> from pushforward.spaces import Torus
    >>> ManifoldUniform(Torus(), (2,)).sample(3, seed=0).shape
    torch.Size([3, 2])
    """

    def __init__(
        self, space: Manifold, shape: tuple[int, ...], device: torch.device | str = "cpu"
    ) -> None:
        self.space, self.shape, self.device = space, tuple(shape), device

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """`n` draws, `(n, *shape)`."""
        return self.space.uniform(n, self.shape, resolve(seed, generator, self.device, rows=n))

    def log_prob(self, x: Tensor) -> Tensor:
        """Minus the logarithm of the volume, the same at every point, `(B,)`."""
        return x.new_full((len(x),), -self.space.log_volume(self.shape))
