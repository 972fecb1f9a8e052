"""How often the cells of fields have which values."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward._precision import in_double
from pushforward.errors import InputError

__all__ = ["frequencies"]


def frequencies(x: Tensor, edges: Tensor) -> Tensor:
    """The density of values of each row, `(N, C, *)` to `(N, C, bins)` in float64.

    The share of the cells of a row that lie between two edges, over their distance. `mean_band` of
    it is a histogram with bands. Values beyond the outer edges are in no bin, so that densities
    integrate to the share that is inside.

    Args:
        x: fields, or means over space `(N, C)`.
        edges: `(bins + 1,)`, increasing.

    Raises `InputError` for values that are not finite, and for edges that do not increase.

    >>> frequencies(torch.tensor([[[0.2, 0.4, 0.9, 1.5]]]), torch.tensor([0.0, 0.5, 1.0]))
    tensor([[[1.0000, 0.5000]]], dtype=torch.float64)
    """
    if x.ndim < 2 or not bool(x.isfinite().all()):
        raise InputError("frequencies are of finite fields (N, C, ...): leave masked cells out")
    edges = in_double(edges).to(x.device)
    widths = edges.diff() if edges.ndim == 1 else edges
    if edges.ndim != 1 or len(edges) < 2 or not bool((widths > 0).all()):
        raise InputError("edges of bins are two or more numbers that increase")
    values = in_double(x).reshape(*x.shape[:2], -1)
    bins = torch.searchsorted(edges, values, right=True) - 1
    # The last edge belongs to the last bin.
    bins = torch.where(values == edges[-1], len(widths) - 1, bins)
    inside = (bins >= 0) & (bins < len(widths))
    found = values.new_zeros(*x.shape[:2], len(widths))
    found.scatter_add_(2, bins.clamp(0, len(widths) - 1), inside.to(values.dtype))
    return found / values.shape[2] / widths
