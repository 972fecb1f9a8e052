"""Floors: what an estimate gives for two samples of one distribution."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pushforward._random import resolve

__all__ = ["floor"]

_HALVES = 4


def floor(
    estimate: Callable[[Tensor, Tensor], float], x: Tensor, y: Tensor, *, seed: int
) -> tuple[float, float]:
    """Mean and standard deviation of an estimate between random parts of all points pooled.

    The parts have the sizes of `x` and `y`, and one distribution: the mixture of both.

    >>> x = torch.tensor([[0.0], [0.0], [9.0], [9.0]])
    >>> floor(lambda a, b: float((a.mean() - b.mean()).abs()), x, x, seed=0)[0] < 5
    True
    """
    both, generator = torch.cat([x, y]), resolve(seed)
    found = []
    for _ in range(_HALVES):
        order = torch.randperm(len(both), generator=generator)
        found.append(estimate(both[order[: len(x)]], both[order[len(x) :]]))
    values = torch.tensor(found, dtype=torch.float64)
    return float(values.mean()), float(values.std())
