"""A diffusion transformer for images of any size and number of channels."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from pushforward.checks import fraction, layers, whole
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.nn.conditioning import Conditioning
from pushforward.nn.cross_attention import CrossAttention
from pushforward.nn.places import places
from pushforward.nn.told import Sequence, told, told_width

__all__ = ["DiT"]


class _Layer(nn.Module):
    """Self-attention and a perceptron, each shifted, scaled and gated by the conditioning.

    The gates start at zero (adaLN-Zero), so that a new layer is the identity.
    """

    def __init__(self, width: int, heads: int, dropout: float, width_told: int | None) -> None:
        super().__init__()
        self.heads = heads
        self.told = None if width_told is None else CrossAttention(width, width_told, heads)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.perceptron = nn.Sequential(
            nn.Linear(width, 4 * width),
            nn.GELU(approximate="tanh"),
            nn.Dropout(dropout),
            nn.Linear(4 * width, width),
        )
        self.modulate = nn.Linear(width, 6 * width)
        nn.init.zeros_(self.modulate.weight)
        nn.init.zeros_(self.modulate.bias)

    def forward(self, h: Tensor, embedding: Tensor, sequence: Sequence | None) -> Tensor:
        shift, scale, gate, shift_2, scale_2, gate_2 = self.modulate(embedding)[:, None].chunk(
            6, -1
        )
        h = h + gate * self._attend(_normalized(h, shift, scale))
        if self.told is not None and sequence is not None:
            h = self.told(h, *sequence)
        return h + gate_2 * self.perceptron(_normalized(h, shift_2, scale_2))

    def _attend(self, h: Tensor) -> Tensor:
        batch, tokens, width = h.shape
        # (3, B, heads, tokens, width per head)
        qkv = self.qkv(h).reshape(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(*qkv.unbind(0))
        return self.out(mixed.transpose(1, 2).reshape(batch, tokens, width))


@configurable
class DiT(nn.Module):
    """A transformer over the patches of an image (Peebles & Xie 2023, with adaLN-Zero).

    Args:
        channels: the image's channels.
        width: features per patch.
        depth: layers.
        heads: attention heads, a divisor of the width.
        patch: the side of a patch in pixels.
        num_classes: the number of labels for conditional models.
        context: the length of a context vector in their place.
        dropout: inside the perceptrons.
        out_channels: of the output; those of the image by default.
        encoder: of contexts that are sequences in the place of labels and contexts, as for
            `nn.UNet`; the patches look at them in each layer.

    Positions are sines and cosines of the patch's place, so that images of another size than those
    of training go through too; sides that are no multiple of the patch are padded and cropped
    inside. Raises `InputError` for sizes below one, a width that does not divide, or images of
    other channels.

    >>> import torch
    >>> DiT(width=24, depth=2, heads=2)(torch.zeros(2, 1, 8, 8), torch.rand(2)).shape
    torch.Size([2, 1, 8, 8])
    """

    shares_time = True
    """Takes a time `()` for all states, besides one for each."""

    def __init__(
        self,
        channels: int = 1,
        width: int = 192,
        depth: int = 6,
        heads: int = 3,
        patch: int = 2,
        num_classes: int | None = None,
        context: int | None = None,
        dropout: float = 0.0,
        out_channels: int | None = None,
        encoder: nn.Module | None = None,
    ) -> None:
        super().__init__()
        channels, width = whole("channels", channels), whole("width", width)
        depth, heads, patch = layers("depth", depth), whole("heads", heads), whole("patch", patch)
        if width % heads or width % 4:
            raise InputError(f"width {width} must be a multiple of 4 and of heads={heads}")
        dropout = fraction("dropout", dropout)
        self.channels, self.patch, self.num_classes = channels, patch, num_classes
        self.context_size = context
        width_told = told_width(encoder, num_classes, context)
        self.encoder = encoder
        self.mean = None if width_told is None else nn.Linear(width_told, width)
        self.out_channels = (
            channels if out_channels is None else whole("out_channels", out_channels)
        )
        self.conditioning = Conditioning(width, num_classes, context)
        self.first = nn.Conv2d(channels, width, patch, stride=patch)
        self.layers = nn.ModuleList(_Layer(width, heads, dropout, width_told) for _ in range(depth))
        self.modulate = nn.Linear(width, 2 * width)
        self.last = nn.Linear(width, self.out_channels * patch**2)
        # Zero at first: an untrained model predicts the mean, and early gradients are calm.
        for layer in (self.modulate, self.last):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        """The output at images `(B, C, H, W)`, times `(B,)` or `()`, labels or contexts."""
        if x.ndim != 4 or x.shape[1] != self.channels:
            raise InputError(f"images have shape (B, {self.channels}, H, W), not {tuple(x.shape)}")
        embedding, sequence = told(self, t, c, len(x))
        height, width = x.shape[-2:]
        h = self.first(functional.pad(x, (0, -width % self.patch, 0, -height % self.patch)))
        rows, columns = h.shape[-2:]
        h = h.flatten(2).transpose(1, 2) + places(rows, columns, h.shape[1]).to(h)
        for layer in self.layers:
            h = layer(h, embedding, sequence)
        shift, scale = self.modulate(embedding)[:, None].chunk(2, -1)
        out = self.last(_normalized(h, shift, scale)).transpose(1, 2)
        out = functional.fold(
            out, (rows * self.patch, columns * self.patch), self.patch, stride=self.patch
        )
        return out[..., :height, :width]


def _normalized(h: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return functional.layer_norm(h, h.shape[-1:]) * (1 + scale) + shift
