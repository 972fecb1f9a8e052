"""The bandwidth of a kernel density: the one that predicts points left out best."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward._distances import centered, squared_distances
from pushforward._random import resolve

__all__ = ["best_bandwidth", "selected"]

_SELECTED = 2000
"""Rows among which a bandwidth or a number of components is chosen."""


def best_bandwidth(z: Tensor) -> float:
    """The bandwidth of the best five-fold likelihood, on a fine logarithmic grid."""
    few = selected(z)
    folds = min(5, len(few))
    fold = torch.arange(len(few)) % folds
    rate = 1 / (z.shape[1] + 4)
    fitted = max(1, len(few) - len(few) // folds)
    # Silverman's rule for a normal distribution is an upper end; clusters want much less.
    widest = 1.5 * (4 / ((z.shape[1] + 2) * fitted)) ** rate
    widths = widest * 0.85 ** torch.arange(24, dtype=z.dtype)
    total = torch.zeros_like(widths)
    for part in fold.unique():
        total += _left_out(few[fold == part], few[fold != part], widths)
    chosen = float(widths[total.argmax()])
    # The best bandwidth falls with the number of points, and in the end there are all of them.
    return chosen * (fitted / len(z)) ** rate


def _left_out(x: Tensor, known: Tensor, widths: Tensor) -> Tensor:
    """The log-likelihoods of points under kernels of some widths at known ones, `(widths,)`.

    Up to a constant. All widths share one table of distances.
    """
    square = squared_distances(*centered(known.mean(0), x, known))
    nearest = square.amin(1, keepdim=True)
    # The nearest point has weight one. Single precision is enough for those beside it, and what
    # it cannot see beside one is left at e^-60, as smaller numbers take far longer.
    behind = (nearest - square).float()
    found = []
    for width in widths.tolist():
        sums = (behind * (0.5 / width**2)).clamp_(min=-60.0).exp_().sum(1).double().log()
        each = sums - nearest[:, 0] * (0.5 / width**2) - x.shape[1] * math.log(width)
        found.append(each.sum())
    return torch.stack(found)


def selected(z: Tensor) -> Tensor:
    """At most a few thousand rows, the same every time."""
    order = torch.randperm(len(z), generator=resolve(0))
    return z[order[:_SELECTED]]
