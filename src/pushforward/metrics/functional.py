"""Sets of curves: which lie in the middle, how values at two points go together, spectra."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import InputError

__all__ = ["lag_covariance", "band_depth", "central_region"]


def band_depth(x: Tensor) -> Tensor:
    """The modified band depth of curves `(N, n)`, `(N,)`: large in the middle of the others.

    The share of the domain in which a curve lies between two others, averaged over all pairs
    (López-Pintado & Romo 2009), by ranks. Raises `InputError` for fewer than three curves.

    >>> band_depth(torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])).tolist()
    [0.6666666865348816, 1.0, 0.6666666865348816]
    """
    count = len(x)
    if x.ndim != 2 or count < 3:
        raise InputError(f"the depth of curves takes three of them, (N, n), not {tuple(x.shape)}")
    rank = x.argsort(0).argsort(0).to(x.dtype)
    inside = rank * (count - 1 - rank) + count - 1
    return inside.mean(1) / (count * (count - 1) / 2)


def central_region(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The deepest curve, and the lower and upper edge of the deeper half of curves `(N, n)`: the
    box of a functional boxplot (Sun & Genton 2011).

    >>> [edge.tolist() for edge in central_region(torch.arange(5.0).reshape(5, 1))]
    [[2.0], [1.0], [3.0]]
    """
    depth = band_depth(x)
    half = x[depth.argsort(descending=True)[: (len(x) + 1) // 2]]
    return x[int(depth.argmax())], half.min(0).values, half.max(0).values


def lag_covariance(x: Tensor) -> Tensor:
    """The covariance of values of curves `(N, n)` a number of points apart, averaged over places,
    `(n,)`.

    About the mean curve, and over the pairs of points at each distance.

    >>> lag_covariance(torch.tensor([[1.0, 1.0], [-1.0, -1.0]])).tolist()
    [1.0, 1.0]
    """
    own, n = x - x.mean(0), x.shape[1]
    power = torch.fft.rfft(own, 2 * n).abs().square().mean(0)
    sums = torch.fft.irfft(power, 2 * n)[:n]
    return sums / torch.arange(n, 0, -1).to(sums)
