"""Predictions kept within the range of the data: static and dynamic thresholding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward import checks
from pushforward.errors import InputError
from pushforward.protocols import Model, Time

__all__ = ["DynamicThreshold", "StaticThreshold"]

Bound = float | Tensor
"""A bound for every number of a state, or one for each, `(*event)`."""

_MOST = 1 << 24
"""More numbers at once than torch has quantiles of."""


@dataclass(frozen=True)
class StaticThreshold:
    """Predictions of `x_0` clipped to the range of the data, as DDPM does (Ho et al. 2020).

    A posterior mean lies within that range; a network's prediction need not, least where noise is
    strong. `clip_sample` of diffusers.

    Args:
        model: predicts `E[x_0 | x_t]`.
        low: the least value of the data, in the units of the model.
        high: the largest.

    Raises `InputError` unless `low < high`.

    >>> StaticThreshold(lambda x, t, c=None: 3 * x)(torch.tensor([[0.2, -1.0]]), 0.5)
    tensor([[ 0.6000, -1.0000]])
    """

    model: Model
    low: Bound = -1.0
    high: Bound = 1.0

    def __post_init__(self) -> None:
        _check(self.low, self.high)

    def __call__(self, x_t: Tensor, t: Time, c: Any = None) -> Tensor:
        """The prediction, clipped."""
        return torch.maximum(
            torch.minimum(self.model(x_t, t, c), _at(self.high, x_t)), _at(self.low, x_t)
        )


@dataclass(frozen=True)
class DynamicThreshold:
    """Predictions of `x_0` clipped to a quantile of their own size and scaled back into the range.

    For each state by itself: with `s` the quantile of `|x_0|` over its numbers, at least 1, the
    prediction becomes `clip(x_0, -s, s) / s`, for data within [-1, 1] (Imagen; Saharia et al. 2022,
    section 2.3). Strong guidance then saturates no more than a few numbers of an image.

    Args:
        model: predicts `E[x_0 | x_t]`.
        quantile: the fraction of numbers that stay as they are, if the others exceed the range.
        low: the least value of the data, in the units of the model.
        high: the largest.

    Raises `InputError` unless `low < high` and the quantile lies in [0, 1].

    >>> x = torch.tensor([[0.5, -0.5, 2.0], [0.5, -0.5, 1.0]])
    >>> DynamicThreshold(lambda x, t, c=None: x, quantile=1.0)(x, 0.5)
    tensor([[ 0.2500, -0.2500,  1.0000],
            [ 0.5000, -0.5000,  1.0000]])
    """

    model: Model
    quantile: float = 0.995
    low: Bound = -1.0
    high: Bound = 1.0

    def __post_init__(self) -> None:
        checks.number("quantile", self.quantile, least=0, most=1)
        _check(self.low, self.high)

    def __call__(self, x_t: Tensor, t: Time, c: Any = None) -> Tensor:
        """The prediction, clipped and scaled."""
        low, high = _at(self.low, x_t), _at(self.high, x_t)
        center, half = (high + low) / 2, (high - low) / 2
        x = (self.model(x_t, t, c) - center) / half
        s = _quantile(x.abs().flatten(1), self.quantile).clamp(min=1).to(x)
        s = s.view(-1, *(1,) * (x.ndim - 1))
        return center + half * torch.maximum(torch.minimum(x, s), -s) / s


def _check(low: Bound, high: Bound) -> None:
    if not bool((torch.as_tensor(low) < torch.as_tensor(high)).all()):
        raise InputError(f"the range of the data runs from low to a larger high, not {low}, {high}")


def _at(bound: Bound, x: Tensor) -> Tensor:
    return torch.as_tensor(bound, dtype=x.dtype, device=x.device)


def _quantile(x: Tensor, q: float) -> Tensor:
    """The quantile of each row of `(B, d)`, `(B,)`, interpolated."""
    exact = x if x.dtype == torch.float64 else x.float()
    parts = exact.split(max(1, _MOST // max(1, x.shape[1])))
    return torch.cat([part.quantile(q, dim=1) if len(part) else part[:, 0] for part in parts])
