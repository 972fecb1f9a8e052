"""The simplex: shares of a whole as they are, and symbols as its corners."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from pushforward._random import normal
from pushforward._shapes import per_event_sum
from pushforward.config import configurable
from pushforward.spaces.compositions import Compositions
from pushforward.spaces.space import ContinuousSpace

__all__ = ["Simplex", "contrasts"]


@configurable
@dataclass(frozen=True)
class Simplex(Compositions, ContinuousSpace):
    r"""Shares `x_k >= 0` that sum to one along the last axis, zeros included.

    Tangent vectors sum to zero, lengths are Euclidean, and a step that would leave the simplex ends
    at its boundary. Densities are per unit of `dx_1 ... dx_{K-1}`, in which the uniform
    distribution is `Dirichlet(1, ..., 1)` with the density `(K - 1)!`.

    Two other spaces of the same data move in other coordinates: `LogRatios` in log-ratios, the
    geometry of Aitchison, and `FisherRao` on a sphere, by roots.

    Args:
        parts: how many shares there are, where a table has columns for other things too.

    >>> x = torch.tensor([[0.2, 0.3, 0.5]])
    >>> Simplex().exp(x, torch.tensor([[0.1, 0.0, -0.1]]))
    tensor([[0.3000, 0.3000, 0.4000]])
    """

    parts: int | None = None

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """`x + v`, or where that is no composition, what is left of it on the boundary."""
        return self.nearest(x + v)

    def nearest(self, x: Tensor) -> Tensor:
        """Negative shares become zero, and the others are divided by their sum."""
        kept = x.clamp_min(0)
        return kept / kept.sum(-1, keepdim=True)

    def project(self, x: Tensor, v: Tensor) -> Tensor:
        """`v` less its mean."""
        return v - v.mean(-1, keepdim=True)

    def randn(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Standard normal in each direction of the simplex."""
        shape = (*x.shape[:-1], x.shape[-1] - 1)
        drawn = normal(shape, generator, dtype=x.dtype, device=x.device)
        return drawn @ contrasts(x.shape[-1]).to(x).mT

    def squared_norm(self, x: Tensor, v: Tensor) -> Tensor:
        """The sum of squares, `(B,)`."""
        return per_event_sum(v.square())

    def dimension(self, event_shape: tuple[int, ...]) -> int:
        """One less than the shares, for each composition."""
        return math.prod(event_shape[:-1]) * (event_shape[-1] - 1)

    def frame(self, x: Tensor) -> Tensor:
        """Contrasts between the parts, the same at every point."""
        size, shape = math.prod(x.shape[1:-1]), x.shape[1:]
        basis = contrasts(x.shape[-1]).to(x)
        blocks = torch.kron(torch.eye(size, dtype=x.dtype, device=x.device), basis).mT
        return blocks.reshape(1, -1, *shape).expand(len(x), -1, *shape)

    def embed(self, x: Tensor) -> Tensor:
        """Roots, of the order of one: they tell small shares apart."""
        return (x.shape[-1] * x.clamp_min(0)).sqrt()


@cache
def contrasts(parts: int) -> Tensor:
    """Orthonormal vectors that sum to zero, the columns of `(K, K - 1)`: Helmert's.

    >>> contrasts(2)
    tensor([[ 0.7071],
            [-0.7071]], dtype=torch.float64)
    """
    found = torch.zeros(parts, parts - 1, dtype=torch.float64)
    for k in range(1, parts):
        found[:k, k - 1] = 1 / math.sqrt(k * (k + 1))
        found[k, k - 1] = -math.sqrt(k / (k + 1))
    return found
