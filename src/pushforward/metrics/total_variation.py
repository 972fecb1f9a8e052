"""Total variation: how far the frequencies of a few kinds lie from each other."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.metrics.estimate import Estimate

__all__ = ["total_variation"]


def total_variation(x: Tensor, y: Tensor, *, seed: int = 0) -> Estimate:
    r"""The total variation distance between the frequencies of kinds, `sum_i |p_i - q_i| / 2`.

    The largest difference that any set of kinds makes: 0 for equal frequencies, 1 for none in
    common. Finite sets differ by chance, by about `sqrt(K / (2 pi n))` for `K` kinds and `n` states
    on each side, so that a value says something beside that of real data at the same size only.
    Nothing is drawn; `seed` is there so that all metrics are called alike.

    Args:
        x: kinds of the states to be judged, integers `(N,)`, or `(N, k)` with several a state, such
            as the symbols of a sequence, which are counted together.
        y: those of the states to judge by, `(M,)` or `(M, k)`.

    Returns the distance with its standard error over the states, those of one set that is held
    fixed where it was largest: right for frequencies that differ, too large by up to two thirds for
    equal ones. Raises `InputError` for anything but integers, or fewer than two states.

    >>> x, y = torch.tensor([0, 0, 1, 1]), torch.tensor([1, 1, 1, 2])
    >>> total_variation(x, y).value
    0.5
    """
    left, right = _rows(x, "x"), _rows(y, "y")
    kinds, codes = torch.unique(torch.cat([left.flatten(), right.flatten()]), return_inverse=True)
    left = codes[: left.numel()].reshape(left.shape)
    right = codes[left.numel() :].reshape(right.shape)
    shares = [
        torch.bincount(rows.flatten(), minlength=len(kinds)).double() / rows.numel()
        for rows in (left, right)
    ]
    gap = shares[0] - shares[1]
    # The distance is the difference of the means of this indicator: its spread over the states,
    # whose several kinds belong together, is the error.
    more = (gap > 0).double()
    variance = sum(float(more[rows].mean(1).var()) / len(rows) for rows in (left, right))
    return Estimate(0.5 * float(gap.abs().sum()), math.sqrt(variance), min(len(left), len(right)))


def _rows(x: Tensor, name: str) -> Tensor:
    """Kinds as a table with a row for each state."""
    if not isinstance(x, Tensor) or x.is_floating_point() or x.is_complex() or x.ndim == 0:
        kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise InputError(f"{name} is {kind}: kinds are integers, one or several for each state")
    if len(x) < 2 or x.numel() == 0:
        raise InputError(f"{name} has {len(x)} states; at least 2 are needed")
    return x.detach().cpu().long().reshape(len(x), -1)
