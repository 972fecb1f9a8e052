"""Networks that fit the data, for those who do not want to choose one."""

from __future__ import annotations

import math
from typing import Any

from torch import nn

from pushforward.errors import InputError
from pushforward.nn.convolutional import ConvolutionalEncoder
from pushforward.nn.fourier import suitable_frequencies
from pushforward.nn.grid_convolution import both_axes
from pushforward.nn.mlp import MLP
from pushforward.nn.sequences import SequenceEncoder
from pushforward.nn.sets import SetEncoder
from pushforward.nn.text_encoder import TextEncoder
from pushforward.nn.unet import UNet
from pushforward.state import EventShape
from pushforward.vocabulary import Vocabulary

__all__ = ["default_context_network", "default_network"]


def default_network(
    event_shape: tuple[int, ...],
    num_classes: int | None = None,
    context_size: int | None = None,
    out_shape: tuple[int, ...] | None = None,
    image: bool | None = None,
    vocabulary: Vocabulary | None = None,
    dimension: int | None = None,
    periodic: tuple[bool, ...] | None = None,
    means_apart: bool = False,
) -> nn.Module:
    """A U-Net for images `(C, H, W)` of at least 4 pixels a side, a perceptron for all else.

    Larger images get more levels, longer vectors more hidden units.

    Args:
        event_shape: the shape of one state.
        num_classes: the number of labels for conditional models.
        context_size: the length of a context vector in their place.
        out_shape: the shape of one output; that of a state by default. An image of the same sides
            comes from a U-Net, everything else from a perceptron on the flattened state.
        image: whether a state is an image, which its shape alone does not tell; by default if it
            has three axes of which the first, the channels, is the shortest.
        vocabulary: the words of texts in the place of labels. A U-Net is then made for squares of
            2 x 2 pixels, if the image has 32 or more a side, and reads texts by a `TextEncoder`.
        dimension: of the space that the states fill, where they have more numbers than that: nine
            of a rotation matrix fill three. Fine structure is looked for in few dimensions
            (`nn.suitable_frequencies`).
        periodic: of fields, whether the ends of rows, and of columns, meet. Unless all do, the
            network knows where a cell is, since no two places are alike then.
        means_apart: of fields, a way past the network for their means.

    Raises `InputError` for an event or an output without entries, or texts for what is no image.

    >>> type(default_network((1, 8, 8))).__name__, type(default_network((2,))).__name__
    ('UNet', 'MLP')
    >>> type(default_network((16, 16, 7))).__name__
    'MLP'
    >>> default_network((3, 8, 8), out_shape=(6, 8, 8)).out_channels
    6
    """
    out = tuple(event_shape) if out_shape is None else tuple(out_shape)
    for shape in (tuple(event_shape), out):
        if not shape or math.prod(shape) < 1:
            raise InputError(f"there is no network for events of shape {shape}")
    sides = tuple(event_shape[1:])
    if image is None:
        image = len(event_shape) == 3 and event_shape[0] < min(sides)
    if image and len(event_shape) == 3 and min(sides) >= 4 and out[1:] == sides:
        channels = event_shape[0]
        if vocabulary is not None:
            return UNet(
                channels,
                multipliers=(1, 2, 3),
                blocks=1,
                out_channels=None if out[0] == channels else out[0],
                encoder=TextEncoder(vocabulary.words, vocabulary.length),
                patch=2 if min(sides) >= 32 else 1,
            )
        levels = 2 if max(sides) <= 16 else 3 if max(sides) <= 48 else 4
        on_grid: dict[str, Any] = {}
        if periodic is not None:
            on_grid = {
                "periodic": both_axes(periodic),
                "positions": not all(periodic),
                "mean_bypass": means_apart,
            }
            levels = _levels(levels, sides, both_axes(periodic))
        return UNet(
            channels,
            multipliers=(1, 2, 2, 4)[:levels],
            blocks=1,
            num_classes=num_classes,
            context=context_size,
            out_channels=None if out[0] == channels else out[0],
            **on_grid,
        )
    if vocabulary is not None:
        raise InputError(f"texts are for pictures (C, H, W), not for events of shape {event_shape}")
    numbers = math.prod(event_shape)
    width = min(1024, max(128, 4 * numbers))
    return MLP(
        tuple(event_shape),
        width=width,
        depth=4,
        num_classes=num_classes,
        context=context_size,
        out=None if out == tuple(event_shape) else out,
        frequencies=suitable_frequencies(numbers if dimension is None else dimension),
    )


def _levels(most: int, sides: tuple[int, ...], periodic: tuple[bool, ...]) -> int:
    """As many levels as halve the periodic sides without a rest, two at least where one is odd."""
    turning = [side for side, turns in zip(sides, periodic, strict=True) if turns]
    return next(
        (n for n in range(most, 1, -1) if all(side % 2 ** (n - 1) == 0 for side in turning)), 2
    )


def default_context_network(shape: EventShape, outputs: int = 32) -> nn.Module:
    """A small network from contexts that are no vectors to vectors.

    Args:
        shape: of one context: `(C, H, W)` for pictures, which get convolutions; `(T, d)` for
            sequences; `((slots, d), (slots,))` for sets with a mask, such as `spaces.Points`.
        outputs: the length of a vector.

    Raises `InputError` for other shapes.

    >>> [type(default_context_network(shape)).__name__
    ...  for shape in ((1, 8, 8), (100, 2), ((5, 2), (5,)))]
    ['ConvolutionalEncoder', 'SequenceEncoder', 'SetEncoder']
    """
    if all(isinstance(size, int) for size in shape):
        if len(shape) == 3:
            levels = max(0, min(3, math.ceil(math.log2(max(shape[1:]))) - 2))
            return ConvolutionalEncoder(shape, outputs, width=16, levels=levels)
        if len(shape) == 2:
            return SequenceEncoder(shape[1], outputs)
    elif len(shape) == 2 and len(shape[0]) == 2 and shape[1] == shape[0][:1]:
        return SetEncoder(shape[0][1], outputs)
    raise InputError(
        f"there is no default for contexts of shape {shape}: give context_network=, a module that "
        "makes vectors (B, size) of them"
    )
