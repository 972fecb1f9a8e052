"""A network that fits the data, for those who do not want to choose one."""

from __future__ import annotations

import math

from torch import nn

from pushforward.errors import InputError
from pushforward.nn.mlp import MLP
from pushforward.nn.unet import UNet

__all__ = ["default_network"]


def default_network(
    event_shape: tuple[int, ...],
    num_classes: int | None = None,
    context_size: int | None = None,
    out_shape: tuple[int, ...] | None = None,
) -> nn.Module:
    """A U-Net for images `(C, H, W)` of at least 4 pixels a side, a perceptron for all else.

    Larger images get more levels, longer vectors more hidden units. Raises `InputError` for an
    event without entries.

    >>> type(default_network((1, 8, 8))).__name__, type(default_network((2,))).__name__
    ('UNet', 'MLP')
    """
    if not event_shape or math.prod(event_shape) < 1:
        raise InputError(f"there is no network for events of shape {event_shape}")
    if out_shape is None and len(event_shape) == 3 and min(event_shape[1:]) >= 4:
        channels, *sides = event_shape
        levels = 2 if max(sides) <= 16 else 3 if max(sides) <= 48 else 4
        multipliers = (1, 2, 2, 4)[:levels]
        return UNet(channels, multipliers=multipliers, blocks=1, num_classes=num_classes)
    width = min(1024, max(128, 4 * math.prod(event_shape)))
    return MLP(event_shape, width, 4, num_classes, context_size, out_shape)
