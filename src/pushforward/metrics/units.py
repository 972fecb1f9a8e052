"""Training standard deviations: the unit of length in which sets of points are compared."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward._precision import NOISE
from pushforward.metrics._points import checked

__all__ = ["training_units"]


def training_units(train: Tensor, *, common_scale: bool = False) -> tuple[Tensor, Tensor]:
    """Shift and scale, each `(d,)`, that give the training data zero mean and unit spread.

    Features have a scale each, so that a distance does not depend on their units. With
    `common_scale` all have one: pixels, values of a function or coordinates of a unit vector share
    a unit, and one that hardly varies should hardly count. A feature that never varies keeps its
    own unit.

    >>> shift, scale = training_units(torch.tensor([[0.0, 5.0], [2.0, 5.0]]))
    >>> shift.tolist(), [round(s, 3) for s in scale.tolist()]
    ([1.0, 5.0], [1.414, 1.0])
    """
    flat = checked(train, "train").cpu()
    # In double precision, yet without a copy of all of the data in it.
    shift = sum_of(flat, torch.zeros(flat.shape[1], dtype=torch.float64), 1) / len(flat)
    variance = sum_of(flat, shift, 2) / (len(flat) - 1)
    if common_scale:
        variance = variance.mean().expand_as(variance)
    # What is left of a constant in floating point is no spread.
    scale = variance.sqrt()
    varies = scale > NOISE.get(flat.dtype, NOISE[torch.float32]) * shift.abs()
    return shift, torch.where(varies & (scale > 0), scale, 1.0)


def sum_of(flat: Tensor, shift: Tensor, power: int) -> Tensor:
    """`sum over rows of (x - shift)^power`, `(d,)`, part by part."""
    total = torch.zeros_like(shift)
    for part in flat.split(8192):
        total += (part.double() - shift).pow(power).sum(0)
    return total
