"""A small U-Net for images of any size and number of channels."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from pushforward.checks import fraction, layers, whole
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.nn.conditioning import Conditioning
from pushforward.nn.cross_attention import CrossAttention
from pushforward.nn.grid_convolution import GridConvolution, around, both_axes, grid_positions
from pushforward.nn.places import places
from pushforward.nn.told import Sequence, told, told_width

__all__ = ["UNet"]

Layer = TypeVar("Layer", bound=nn.Module)


class _Block(nn.Module):
    """Two convolutions with group normalization, scaled and shifted by the conditioning.

    Where it is told of a sequence of so many features, its pixels look at it then.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        features: int,
        dropout: float,
        told: int | None,
        periodic: tuple[bool, bool],
    ) -> None:
        super().__init__()
        self.before = nn.GroupNorm(_groups(inputs), inputs)
        self.first = GridConvolution(inputs, outputs, periodic)
        self.modulate = nn.Linear(features, 2 * outputs)
        self.between = nn.GroupNorm(_groups(outputs), outputs)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.second = _quiet(GridConvolution(outputs, outputs, periodic))
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)
        self.told = None if told is None else CrossAttention(outputs, told, _heads(outputs))

    def forward(self, x: Tensor, embedding: Tensor, sequence: Sequence | None) -> Tensor:
        h = self.first(functional.silu(self.before(x)))
        scale, shift = self.modulate(embedding)[:, :, None, None].chunk(2, 1)
        h = functional.silu(torch.addcmul(shift, self.between(h), 1 + scale))
        h = self.skip(x) + self.second(self.dropout(h))
        if self.told is None or sequence is None:
            return h
        where = places(h.shape[2], h.shape[3], h.shape[1]).to(h)
        pixels = self.told(h.flatten(2).transpose(1, 2), *sequence, where)
        return pixels.transpose(1, 2).reshape(h.shape)


class _Attention(nn.Module):
    """Self-attention over the pixels, for the lowest resolution."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(_groups(channels), channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = _quiet(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        # (B, 3, heads, pixels, channels per head)
        qkv = self.qkv(self.norm(x)).reshape(batch, 3, self.heads, channels // self.heads, -1)
        q, k, v = qkv.transpose(-1, -2).unbind(1)
        h = functional.scaled_dot_product_attention(q, k, v)
        return x + self.out(h.transpose(-1, -2).reshape(batch, channels, height, width))


@configurable
class UNet(nn.Module):
    """Residual blocks down and up with skips between, attention at the bottom (Ho et al. 2020).

    Args:
        channels: the image's channels.
        width: channels of the first level.
        multipliers: channels of each level over `width`; each level after the first halves the
            resolution.
        blocks: residual blocks per level.
        num_classes: the number of labels for conditional models.
        dropout: inside the blocks.
        context: the length of a context vector in the place of labels.
        out_channels: of the output; those of the image by default.
        encoder: of contexts that are sequences, such as `nn.TextEncoder`, trained along: a module
            with an attribute `width` that returns vectors `(B, L, width)` and which of them are
            there, `(B, L)`. The pixels of all levels but the first look at them
            (`nn.CrossAttention`), and their mean joins the time. It takes the place of labels and
            contexts.
        patch: squares of so many pixels a side become channels first, and pixels again at the end
            (Shi et al. 2016): 2 makes the network four times cheaper.
        periodic: whether the ends of rows, and of columns, meet, as on a torus or along a parallel;
            both or each.
        positions: also look at where a pixel is, `nn.grid_convolution.grid_positions`: a map of
            the Earth is not the same everywhere.
        mean_bypass: the mean of the output over the picture comes from that of the input by a
            perceptron of its own, past the convolutions, which make the deviations from it.

    Images whose sides are no multiple of the total reduction are padded and cropped inside. Of
    sides that are one, a periodic network commutes with shifts by multiples of the reduction,
    unless it knows positions.
    Raises `InputError` for sizes below one or images of other channels.

    >>> UNet(width=8)(torch.zeros(2, 1, 8, 8), torch.rand(2)).shape
    torch.Size([2, 1, 8, 8])
    """

    shares_time = True
    """Takes a time `()` for all states, besides one for each."""

    def __init__(
        self,
        channels: int = 1,
        width: int = 32,
        multipliers: tuple[int, ...] = (1, 2),
        blocks: int = 2,
        num_classes: int | None = None,
        dropout: float = 0.0,
        context: int | None = None,
        out_channels: int | None = None,
        encoder: nn.Module | None = None,
        patch: int = 1,
        periodic: tuple[bool, ...] | bool = False,
        positions: bool = False,
        mean_bypass: bool = False,
    ) -> None:
        super().__init__()
        multipliers = tuple(multipliers)
        channels, width, blocks = (
            whole(name, value)
            for name, value in (("channels", channels), ("width", width), ("blocks", blocks))
        )
        layers("blocks", blocks)
        if not multipliers:
            raise InputError("a U-Net has at least one level: multipliers is empty")
        multipliers = tuple(whole("each of multipliers", multiplier) for multiplier in multipliers)
        dropout = fraction("dropout", dropout)
        self.channels, self.num_classes = channels, num_classes
        self.out_channels = (
            channels if out_channels is None else whole("out_channels", out_channels)
        )
        features = 4 * width
        self.context_size = context
        width_told = told_width(encoder, num_classes, context)
        self.encoder, self.patch = encoder, whole("patch", patch)
        self.mean = None if width_told is None else nn.Linear(width_told, features)
        self.conditioning = Conditioning(features, num_classes, context)
        self.periodic, self.positions = both_axes(periodic), positions
        seen = channels * patch**2
        if positions:
            seen += len(grid_positions(1, 1, self.periodic))
        self.first = GridConvolution(seen, width, self.periodic)
        sizes = [width]
        here = width

        def block(inputs: int, level: int, multiplier: int) -> _Block:
            low = None if level == 0 and len(multipliers) > 1 else width_told
            return _Block(inputs, width * multiplier, features, dropout, low, self.periodic)

        self.down = nn.ModuleList()
        for level, multiplier in enumerate(multipliers):
            if level:
                self.down.append(GridConvolution(here, here, self.periodic, stride=2))
                sizes.append(here)
            for _ in range(blocks):
                self.down.append(block(here, level, multiplier))
                here = width * multiplier
                sizes.append(here)
        self.middle = nn.ModuleList(
            [
                _Block(here, here, features, dropout, width_told, self.periodic),
                _Attention(here, heads=_heads(here)),
                _Block(here, here, features, dropout, width_told, self.periodic),
            ]
        )
        self.up = nn.ModuleList()
        for level, multiplier in reversed(list(enumerate(multipliers))):
            for _ in range(blocks + 1):
                self.up.append(block(here + sizes.pop(), level, multiplier))
                here = width * multiplier
            if level:
                self.up.append(GridConvolution(here, here, self.periodic))
        self.norm = nn.GroupNorm(_groups(here), here)
        self.last = _quiet(GridConvolution(here, self.out_channels * patch**2, self.periodic))
        self.bypass = None
        if mean_bypass:
            last = _quiet(nn.Linear(features, self.out_channels))
            self.bypass = nn.Sequential(nn.Linear(channels + features, features), nn.SiLU(), last)
        self.reduction = patch * 2 ** (len(multipliers) - 1)

    def forward(self, x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        """The output at images `(B, C, H, W)`, times `(B,)` or `()`, and what they are told.

        `c` holds labels `(B,)`, contexts `(B, context)` or what the encoder takes, or is `None`.
        """
        if x.ndim != 4 or x.shape[1] != self.channels:
            raise InputError(f"images have shape (B, {self.channels}, H, W), not {tuple(x.shape)}")
        embedding, sequence = told(self, t, c, len(x))
        height, width = x.shape[-2:]
        mean = None if self.bypass is None else x.mean((2, 3))
        below, right = -height % self.reduction, -width % self.reduction
        x = around(x, (0, right, 0, below), self.periodic)
        h = functional.pixel_unshuffle(x, self.patch)
        if self.positions:
            where = grid_positions(h.shape[2], h.shape[3], self.periodic, h)
            h = torch.cat([h, where.expand(len(h), *where.shape)], 1)
        h = self.first(h)
        kept = [h]
        for layer in self.down:
            h = layer(h, embedding, sequence) if isinstance(layer, _Block) else layer(h)
            kept.append(h)
        for layer in self.middle:
            h = layer(h, embedding, sequence) if isinstance(layer, _Block) else layer(h)
        for layer in self.up:
            if isinstance(layer, _Block):
                h = layer(torch.cat([h, kept.pop()], 1), embedding, sequence)
            else:
                h = layer(functional.interpolate(h, scale_factor=2, mode="nearest"))
        h = functional.pixel_shuffle(self.last(functional.silu(self.norm(h))), self.patch)
        h = h[..., :height, :width]
        if self.bypass is None or mean is None:
            return h
        told_of = torch.cat([mean, embedding.expand(len(mean), -1)], 1)
        past: Tensor = self.bypass(told_of)
        return h - h.mean((2, 3), keepdim=True) + past[:, :, None, None]


def _quiet(layer: Layer) -> Layer:
    """The layer with all weights zero: each branch of a new network adds nothing yet."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def _groups(channels: int) -> int:
    """The number of groups of a normalization: up to 8, dividing the channels."""
    return next(g for g in (8, 4, 2, 1) if channels % g == 0)


def _heads(channels: int) -> int:
    """Attention heads of 32 channels or more each."""
    return max(1, channels // 32)
