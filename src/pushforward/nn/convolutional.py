"""Convolutional networks between small images and vectors."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import interpolate

from pushforward.checks import layers, whole
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.nn.perceptron import Perceptron

__all__ = ["ConvolutionalDecoder", "ConvolutionalEncoder"]


class _Residual(nn.Module):
    """`h + conv(act(conv(act(h))))`, all 3 x 3."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.activation = nn.SiLU()

    def forward(self, h: Tensor) -> Tensor:
        return h + self.second(self.activation(self.first(self.activation(h))))


@configurable
class ConvolutionalEncoder(nn.Module):
    """From images to vectors: a residual block and a halving of the sides at each level.

    Labels and contexts enter the perceptron at the end, as in `Perceptron`.

    Args:
        inputs: the shape of an image, `(C, H, W)`.
        outputs: the length of the vector, or any other shape.
        width: channels at full size; they double at each level.
        levels: how often the sides are halved, rounded up.
        hidden: hidden units of the perceptron.
        num_classes: the number of labels for conditional models.
        context: the length of a context vector in their place.

    Raises `InputError` for sizes below one, and images of another shape.

    >>> import torch
    >>> ConvolutionalEncoder((1, 8, 8), 4, width=8)(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 4])
    """

    def __init__(
        self,
        inputs: tuple[int, int, int],
        outputs: int | tuple[int, ...],
        width: int = 32,
        levels: int = 2,
        hidden: int = 128,
        num_classes: int | None = None,
        context: int | None = None,
    ) -> None:
        super().__init__()
        self.inputs = tuple(inputs)
        sizes = _pyramid(self.inputs, width, levels)
        channels = [width * 2**k for k in range(levels + 1)]
        self.first = nn.Conv2d(self.inputs[0], width, 3, padding=1)
        self.blocks = nn.ModuleList(_Residual(k) for k in channels)
        self.down = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(channels)
        )
        self.head = Perceptron(
            (channels[-1], *sizes[-1]), outputs, hidden, 1, num_classes=num_classes, context=context
        )
        self.num_classes, self.context_size = num_classes, context

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """The vectors `(B, *outputs)` of images `(B, C, H, W)`."""
        if tuple(x.shape[1:]) != self.inputs:
            raise InputError(f"images have shape {self.inputs}, not {tuple(x.shape[1:])}")
        h = self.blocks[0](self.first(x))
        for down, block in zip(self.down, list(self.blocks)[1:], strict=True):
            h = block(down(h))
        return self.head(h, c)


@configurable
class ConvolutionalDecoder(nn.Module):
    """From vectors to images: a perceptron, then a doubling of the sides at each level.

    Args:
        inputs: the length of the vector, or any other shape.
        outputs: the shape of an image, `(C, H, W)`.
        width: channels at full size; they double at each level further down.
        levels: how often the sides are doubled.
        hidden: hidden units of the perceptron.
        num_classes: the number of labels for conditional models.
        context: the length of a context vector in their place.

    Raises `InputError` for sizes below one, and vectors of another shape.

    >>> import torch
    >>> ConvolutionalDecoder(4, (2, 7, 7), width=8)(torch.zeros(5, 4)).shape
    torch.Size([5, 2, 7, 7])
    """

    def __init__(
        self,
        inputs: int | tuple[int, ...],
        outputs: tuple[int, int, int],
        width: int = 32,
        levels: int = 2,
        hidden: int = 128,
        num_classes: int | None = None,
        context: int | None = None,
    ) -> None:
        super().__init__()
        self.sizes = _pyramid(tuple(outputs), width, levels)[::-1]
        channels = [width * 2**k for k in range(levels, -1, -1)]
        self.stem = Perceptron(
            inputs,
            (channels[0], *self.sizes[0]),
            hidden,
            1,
            num_classes=num_classes,
            context=context,
        )
        self.blocks = nn.ModuleList(_Residual(k) for k in channels)
        self.up = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(channels))
        self.last = nn.Conv2d(width, outputs[0], 3, padding=1)
        self.activation = nn.SiLU()
        self.num_classes, self.context_size = num_classes, context

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """The images `(B, C, H, W)` of vectors `(B, *inputs)`."""
        h = self.blocks[0](self.stem(z, c))
        for size, up, block in zip(self.sizes[1:], self.up, list(self.blocks)[1:], strict=True):
            h = block(interpolate(up(h), size))
        return self.last(self.activation(h))


def _pyramid(shape: tuple[int, ...], width: int, levels: int) -> list[tuple[int, int]]:
    """The sides of an image at each level. Raises `InputError` if it is none."""
    if len(shape) != 3 or min(shape) < 1:
        raise InputError(f"an image has a shape (C, H, W) of positive sizes, not {shape}")
    whole("width", width)
    layers("levels", levels, least=0)
    sizes = [(shape[1], shape[2])]
    for _ in range(levels):
        rows, columns = sizes[-1]
        sizes.append((-(-rows // 2), -(-columns // 2)))
    return sizes
