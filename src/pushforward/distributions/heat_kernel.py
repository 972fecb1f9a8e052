"""Where Brownian motion on a manifold is after a time."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.checks import positive
from pushforward.errors import CapabilityError
from pushforward.spaces import Manifold

__all__ = ["HeatKernel"]


class HeatKernel:
    r"""The distribution of Brownian motion from `mean` after `variance` of time.

    The normal distribution of a manifold in the sense that convolution keeps it: noised by
    `processes.Brownian`, it is a heat kernel of a larger variance. Wrapped normal on a torus,
    IGSO(3) on rotations. Exact where the space knows its kernel, see there. Raises `InputError` for
    a mean off the space, `CapabilityError` where Brownian motion is not known.

    >>> from pushforward.spaces import SO3
    >>> igso3 = HeatKernel(SO3(), torch.eye(3), 0.1)
    >>> igso3.log_prob(igso3.sample(2, seed=0)).shape
    torch.Size([2])
    """

    def __init__(self, space: Manifold, mean: Tensor, variance: float) -> None:
        if space.no_heat:
            raise CapabilityError(space.no_heat)
        space.check(mean.unsqueeze(0))
        self.space, self.mean, self.variance = space, mean, positive("variance", variance)

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """`n` draws, `(n, *event)`."""
        start = self.mean.expand(n, *self.mean.shape)
        variance = start.new_full((n,), self.variance)
        return self.space.diffuse(start, variance, resolve(seed, generator, start.device, rows=n))

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density per unit of volume, `(B,)`."""
        start = self.mean.to(x).expand_as(x)
        return self.space.heat_log_kernel(x, start, x.new_full((len(x),), self.variance))
