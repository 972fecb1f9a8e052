"""Two systems of ordinary differential equations, solved to a tolerance for many parameters."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pushforward.samplers.adaptive import solve

__all__ = ["lotka_volterra", "susceptible_infected_recovered"]

_TOLERANCE = 1e-6


def lotka_volterra(
    theta: Tensor, times: Sequence[float], *, start: tuple[float, float] = (30.0, 1.0)
) -> Tensor:
    """Prey `x` and predators `y` at some times, `(n, 2 len(times))`, all of the prey first.

    `x' = a x - b x y` and `y' = -c y + d x y` with parameters `(a, b, c, d)`, `(n, 4)`. Logarithms
    are integrated, so that levels stay positive however low they fall.

    >>> rates = torch.tensor([[1.0, 0.1, 1.0, 0.1]])
    >>> lotka_volterra(rates, [0.0, 0.5], start=(10.0, 10.0)).round(decimals=3)  # a fixed point
    tensor([[10., 10., 10., 10.]])
    """
    a, b, c, d = theta.double().mT

    def rate(u: Tensor, t: float) -> Tensor:
        x, y = u.exp().mT
        return torch.stack([a - b * y, d * x - c], 1)

    first = torch.tensor([math.log(level) for level in start], dtype=torch.float64)
    found = _path(rate, first.expand(len(theta), 2), times)
    return found.exp().permute(1, 2, 0).flatten(1).to(theta.dtype)


def susceptible_infected_recovered(
    theta: Tensor, times: Sequence[float], *, infected: float = 1e-6
) -> Tensor:
    """The infected share of a population at some times, `(n, len(times))`.

    `s' = -b s i` and `i' = b s i - c i` with the rates of contact and recovery `(b, c)`, `(n, 2)`.
    """
    contact, recovery = theta.double().mT

    def rate(u: Tensor, t: float) -> Tensor:
        # The logarithm of the infected share, which starts at one in a million.
        s, i = u[:, 0], u[:, 1].exp()
        return torch.stack([-contact * s * i, contact * s - recovery], 1)

    first = torch.tensor([1 - infected, math.log(infected)], dtype=torch.float64)
    found = _path(rate, first.expand(len(theta), 2), times)
    return found[..., 1].exp().mT.to(theta.dtype)


def _path(rate: Callable[[Tensor, float], Tensor], x: Tensor, times: Sequence[float]) -> Tensor:
    """States at increasing times, `(len(times), n, 2)`, the first at the first time."""
    found, step = [x], None
    for t, s in itertools.pairwise(times):
        end = solve(rate, x, t, s, rtol=_TOLERANCE, atol=_TOLERANCE, h=step)
        x, step = end.x, end.h
        found.append(x)
    return torch.stack(found)
