"""Angles: the circle and products of circles, flat."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward._random import normal_like, uniform
from pushforward._shapes import like, per_event_sum
from pushforward.config import configurable

__all__ = ["Torus", "windings", "wrap"]


def wrap(angle: Tensor) -> Tensor:
    """The same angle in [-pi, pi).

    >>> wrap(torch.tensor([4.0]))
    tensor([-2.2832])
    """
    return torch.remainder(angle + math.pi, 2 * math.pi) - math.pi


def windings(std: float) -> Tensor:
    """The multiples of a full turn that matter to a normal law of standard deviation `std`."""
    reach = math.ceil(8 * std / (2 * math.pi)) + 1
    return 2 * math.pi * torch.arange(-reach, reach + 1, dtype=torch.float64)


@configurable
@dataclass(frozen=True)
class Torus:
    """Events of angles in [-pi, pi), one circle per entry. The circle is the event `(1,)`.

    >>> Torus().retract(torch.tensor([[3.0]]), torch.tensor([[1.0]]))
    tensor([[-2.2832]])
    """

    linear = False

    def retract(self, x: Tensor, v: Tensor) -> Tensor:
        """Turn by `v`."""
        return wrap(x + v)

    def randn(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Independent standard normal turns, shaped like `x`."""
        return normal_like(x, generator)

    def squared_norm(self, v: Tensor) -> Tensor:
        """The squared length, summed over the angles; `(B,)`."""
        return per_event_sum(v.square())

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """The shortest turn from `x` to `y`, in [-pi, pi)."""
        return wrap(y - x)

    def uniform(self, n: int, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """`n` events of independent uniform angles."""
        return 2 * math.pi * uniform((n, *shape), generator) - math.pi

    def log_volume(self, shape: tuple[int, ...]) -> float:
        """`log 2 pi` per angle."""
        return math.prod(shape) * math.log(2 * math.pi)

    def diffuse(
        self, x: Tensor, variance: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """The wrapped normal law around `x`."""
        return wrap(x + like(variance.sqrt(), x) * normal_like(x, generator))

    def heat_score(self, x: Tensor, start: Tensor, variance: Tensor) -> Tensor:
        r"""The score of the wrapped normal, `sum_k w_k (start + 2 pi k - x) / variance`.

        The weights `w_k` are the chances of having turned `k` times.
        """
        turns = windings(float(variance.max()) ** 0.5).to(x)
        gap = wrap(start - x).unsqueeze(-1) + turns
        v = like(variance, gap)
        weights = torch.softmax(-gap.square() / (2 * v), -1)
        return (weights * gap / v).sum(-1)
