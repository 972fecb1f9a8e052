"""How the points of a set stand to each other: the K-function and the pair correlation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.errors import InputError

__all__ = ["PointPattern", "point_pattern"]

_GROUPS = 20
"""Parts of the sets, from whose spread standard errors follow."""


@dataclass(frozen=True)
class PointPattern:
    """Second-order statistics of many point sets, by distance.

    Args:
        radii: distances `(R,)`, ends of rings.
        k: for each radius, how many others a point has within it, on average, `(R,)`: Ripley's K
            times the intensity (Ripley 1976), without a correction for edges, since sets have no
            window.
        k_stderr: its standard error.
        correlation: for each ring, how many pairs of points of one set are in it, over those of
            points of different sets, as a share of all pairs, `(R - 1,)`: one for independent
            points, below it where they repel each other.
        correlation_stderr: its standard error.
    """

    radii: Tensor
    k: Tensor
    k_stderr: Tensor
    correlation: Tensor
    correlation_stderr: Tensor


def point_pattern(
    x: Tensor, mask: Tensor, radii: Sequence[float] | Tensor, *, seed: int = 0
) -> PointPattern:
    """The K-function and the pair correlation of point sets `(N, slots, d)` with a mask.

    Distances are between all pairs of one set; for the pair correlation, also of as many pairs of
    sets that have nothing to do with each other. Standard errors are by the jackknife over 20 parts
    of the sets.

    Raises `InputError` for fewer sets than 40, and sets without a pair of points.

    >>> g = torch.Generator().manual_seed(0)
    >>> x, mask = torch.rand(400, 5, 2, generator=g), torch.ones(400, 5, dtype=torch.bool)
    >>> found = point_pattern(x, mask, [0.0, 0.2, 0.4])
    >>> bool(((found.correlation - 1).abs() < 4 * found.correlation_stderr).all())
    True
    """
    edges = torch.as_tensor(radii, dtype=torch.float64)
    if len(x) < 2 * _GROUPS:
        raise InputError(f"the pattern of points takes {2 * _GROUPS} sets or more, not {len(x)}")
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    x, mask = x[order].double(), mask[order]
    parts = [
        _counted(own, there, edges)
        for own, there in zip(x.chunk(_GROUPS), mask.chunk(_GROUPS), strict=True)
    ]
    within, apart, points = (torch.stack(column) for column in zip(*parts, strict=True))
    if not bool(within.sum() > 0):
        raise InputError("no set has two points, so that there are no pairs")

    def of(keep: Tensor) -> tuple[Tensor, Tensor]:
        own, other = within[keep].sum(0), apart[keep].sum(0)
        k = own.cumsum(0)[:-1] / points[keep].sum().clamp_min(1)
        share = (own / own.sum())[1:-1] / (other / other.sum())[1:-1]
        return k, share

    every = torch.ones(len(parts), dtype=torch.bool)
    value = of(every)
    left = [of(every & (torch.arange(len(parts)) != k)) for k in range(len(parts))]
    errors = []
    for which in (0, 1):
        spread = torch.stack([part[which] for part in left])
        errors.append((spread.var(0, correction=0) * (len(parts) - 1)).sqrt())
    return PointPattern(edges, value[0], errors[0], value[1], errors[1])


def _counted(x: Tensor, mask: Tensor, edges: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Ordered pairs by distance, below the first edge to beyond the last one: of one set, and of a
    set and the next one; and the number of points."""
    bins = len(edges) + 1

    def histogram(one: Tensor, other: Tensor, there: Tensor, also: Tensor, own: bool) -> Tensor:
        distances = torch.cdist(one, other)
        pairs = there.unsqueeze(2) & also.unsqueeze(1)
        if own:
            pairs &= ~torch.eye(one.shape[1], dtype=torch.bool)
        places = torch.bucketize(distances[pairs], edges)
        return torch.bincount(places, minlength=bins).double()

    within = histogram(x, x, mask, mask, True)
    apart = histogram(x, x.roll(1, 0), mask, mask.roll(1, 0), False)
    return within, apart, mask.sum().double()
