"""Points beside the support that they should fill: how far they are off it, and what they miss."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.checks import whole
from pushforward.metrics import Estimate
from pushforward.metrics._points import nearest, points
from pushforward.support.manifolds import KnownSupport

__all__ = ["SupportDistances", "compare_with_known"]


@dataclass(frozen=True)
class SupportDistances:
    """Distances between points and a known support, beside those of as many points drawn on it.

    Args:
        off: the mean distance of the points to the support, exactly zero on it.
        furthest: the largest one.
        missing: the mean distance of the support to the points.
        gap: the largest one.
        floor: the mean distance of the support to as many points that were drawn on it.
        floor_gap: the largest one.
    """

    off: Estimate
    furthest: float
    missing: Estimate
    gap: float
    floor: Estimate
    floor_gap: float

    @property
    def hausdorff(self) -> float:
        """The larger one of `furthest` and `gap`."""
        return max(self.furthest, self.gap)

    @property
    def chamfer(self) -> Estimate:
        """`off + missing`; its floor is `floor`, since points on the support are not off."""
        stderr = math.hypot(self.off.stderr, self.missing.stderr)
        return Estimate(self.off.value + self.missing.value, stderr, self.off.n)

    def __str__(self) -> str:
        return (
            f"off the support {self.off} (at most {self.furthest:.3g}); missing {self.missing}, "
            f"floor {self.floor} (at most {self.gap:.3g}, floor {self.floor_gap:.3g})"
        )


def compare_with_known(
    x: Tensor, known: KnownSupport, *, draws: int = 10_000, seed: int = 0
) -> SupportDistances:
    """Distances between points `(n, D)`, such as samples of a model, and the support of the truth.

    Distances of points to the support are exact. Those of the support to the points are taken at so
    many `draws` of its distribution: `missing` is a mean over it, and `gap` the largest one seen,
    which is below the supremum by the distance between draws at the most.

    Raises `InputError` for points of another dimension, NaN or infinity.

    >>> from pushforward.support import Hypersphere
    >>> circle = Hypersphere(1)
    >>> half = circle.sample(500, seed=0).abs()
    >>> found = compare_with_known(half, circle)
    >>> found.off.value < 1e-6, round(found.gap, 2)  # from the middle of what is missing
    (True, 1.85)
    """
    given = points(x, "x")
    source = resolve(seed)
    truth = known.points(whole("draws", draws, least=2), source)
    fresh = known.points(len(given), source)
    off = known.distance(given)
    missing, floor = (nearest(truth, each) for each in (given, fresh))
    return SupportDistances(
        _mean(off), float(off.max()), _mean(missing), float(missing.max()),
        _mean(floor), float(floor.max()),
    )  # fmt: skip


def _mean(values: Tensor) -> Estimate:
    n = len(values)
    return Estimate(float(values.mean()), float(torch.std(values)) / math.sqrt(n), n)
