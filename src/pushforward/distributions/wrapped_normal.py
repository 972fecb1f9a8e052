"""Normal distributions wrapped around a manifold."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.checks import positive
from pushforward.spaces import Manifold, Torus

__all__ = ["WrappedNormal"]


class WrappedNormal:
    r"""A normal tangent vector of variance `std^2` at `mean`, followed along its geodesic.

    The density at `x` is the sum over all tangent vectors `v` with `exp(mean, v) = x` of
    `N(v; 0, std^2) / |det d exp(v)|`, one such vector where nothing winds around (Nagano et al.
    2019 on hyperbolic space). On a torus this is the heat kernel; on curved spaces it is not,
    `HeatKernel` is.

    Args:
        mean: a point of the space, `(*event)`; a number stands for an angle.
        std: a number, of each direction.
        space: the circle, or a torus, by default.

    >>> WrappedNormal(3.0, 0.5).sample(2, seed=0).shape
    torch.Size([2, 1])
    >>> from pushforward.spaces import Sphere
    >>> pole = torch.tensor([0.0, 0.0, 1.0])
    >>> WrappedNormal(pole, 0.5, Sphere()).sample(2, seed=0).shape
    torch.Size([2, 3])
    """

    def __init__(self, mean: float | Tensor, std: float, space: Manifold | None = None) -> None:
        self.space: Manifold = Torus() if space is None else space
        self.mean, self.std = mean, positive("std", std)
        self._center = torch.as_tensor(mean)
        if not isinstance(mean, Tensor):
            self._center = self._center.float().reshape(1)
        self.space.check(self._center.unsqueeze(0))

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """`n` draws, `(n, *event)`."""
        center = self._center.expand(n, *self._center.shape)
        noise = self.space.randn(center, resolve(seed, generator, center.device, rows=n))
        return self.space.exp(center, self.std * noise)

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density per unit of volume, `(B,)`."""
        space, center = self.space, self._center.to(x).expand_as(x)
        points, way = space.points(center), space.points(space.log(center, x))
        images, there = space.images(points, way, 8 * self.std)
        count = len(images)
        base = points.repeat(count, *(1,) * (points.ndim - 1))
        flat = images.flatten(0, 1)
        square = space.inner(base, flat, flat) / self.std**2
        size = space.point_dimension(tuple(points.shape[1:]))
        constant = size * (math.log(self.std) + 0.5 * math.log(2 * math.pi))
        logs = -0.5 * square - space.exp_log_det(base, flat) - constant
        each = torch.where(there, logs.reshape(count, len(points)), -torch.inf)
        return space.per_event(torch.logsumexp(each, 0), x)
