"""Attention among the points of a set, whose order means nothing."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pushforward.checks import layers, whole
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.nn.conditioning import Conditioning
from pushforward.nn.fourier import FourierFeatures, suitable_frequencies

__all__ = ["MarkEmbedding", "SetTransformer", "counted"]


class MarkEmbedding(nn.Module):
    """Coordinates and the marks of points as features `(B, slots, width)`.

    Args:
        coordinates: of a point.
        kinds: how many values each mark has.
        width: the number of features.
        frequencies: of the sines and cosines of each coordinate; `suitable_frequencies` by default.
    """

    def __init__(
        self, coordinates: int, kinds: tuple[int, ...], width: int, frequencies: int | None = None
    ) -> None:
        super().__init__()
        if frequencies is None:
            frequencies = suitable_frequencies(coordinates) if coordinates else 0
        self.features = FourierFeatures(coordinates, frequencies)
        self.start = nn.Parameter(torch.zeros(width))
        # There may be nothing but marks.
        self.numbers = nn.Linear(self.features.features, width, bias=False) if coordinates else None
        self.marks = nn.ModuleList(nn.Embedding(values, width) for values in kinds)

    def forward(self, x: Tensor, kinds: Tensor | None) -> Tensor:
        """Features of coordinates `(B, slots, d)` and marks `(B, slots, m)`."""
        h: Tensor = self.start.expand(*x.shape[:2], -1)
        if self.numbers is not None:
            h = h + self.numbers(self.features(x.flatten(0, 1))).unflatten(0, x.shape[:2])
        for k, table in enumerate(self.marks):
            if kinds is None:
                raise InputError(f"this network takes points with {len(self.marks)} marks")
            h = h + table(kinds[..., k])
        return h


def counted(mask: Tensor) -> Tensor:
    """What tells a network how many points there are, `(B, 3)`: attention alone cannot count.

    >>> counted(torch.tensor([[True, False]]))
    tensor([[0.1000, 0.6931, 0.5000]])
    """
    number = mask.sum(1, keepdim=True).float()
    return torch.cat([number / 10, number.log1p(), 1 / (1 + number)], 1)


class _Layer(nn.Module):
    """Masked attention and a perceptron, each shifted, scaled and gated by what is given."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.perceptron = nn.Sequential(
            nn.Linear(width, 4 * width), nn.SiLU(), nn.Linear(4 * width, width)
        )
        self.modulate = nn.Linear(width, 6 * width)
        nn.init.zeros_(self.modulate.weight)
        nn.init.zeros_(self.modulate.bias)
        with torch.no_grad():
            self.modulate.bias.view(6, width)[[2, 5]] = 0.5

    def forward(self, h: Tensor, given: Tensor, seen: Tensor) -> Tensor:
        shift, scale, gate, shift_2, scale_2, gate_2 = self.modulate(given)[:, None].chunk(6, -1)
        batch, length, width = h.shape
        own = functional.layer_norm(h, (width,)) * (1 + scale) + shift
        q, k, v = self.qkv(own).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        h = h + gate * self.out(mixed.transpose(1, 2).flatten(2))
        own = functional.layer_norm(h, (width,)) * (1 + scale_2) + shift_2
        out: Tensor = h + gate_2 * self.perceptron(own)
        return out


@configurable
class SetTransformer(nn.Module):
    """Numbers of each point of a set, and of the set, by attention (Lee et al. 2019).

    Self-attention among the points that are there, and one learned element more that sees them all
    and stands for the set: its features are an attention pooling. Permuted points come out
    permuted; an empty set has an output, too.

    Args:
        coordinates: numbers of a point.
        positions: how many of them, the first ones, are its position; all if there are no others.
        vectors: vectors of each point that go out, as long as its position.
        outputs: numbers of each point that go out besides.
        pooled: numbers of the set that go out before them; none by default.
        kinds: how many values each mark of the points has.
        width: features.
        depth: layers.
        heads: attention heads, a divisor of the width.
        num_classes: the number of labels for conditional models.
        context: the length of a context vector in their place.
        frequencies: of the sines and cosines of each coordinate; `suitable_frequencies` by default.

    Raises `InputError` for sizes that do not fit, and for what are no such sets.

    >>> net = SetTransformer(2, outputs=3, pooled=4, width=16, depth=1)
    >>> x, mask = torch.randn(5, 6, 2), torch.rand(5, 6) < 0.5
    >>> [tuple(out.shape) for out in net((x, mask), torch.rand(5))]
    [(5, 4), (5, 6, 2), (5, 6, 3)]
    """

    shares_time = True
    """Takes a time `()` for all states, besides one for each."""

    reads_sets = True
    """Takes sets as they are, not numbers that a space makes of them."""

    def __init__(
        self,
        coordinates: int,
        positions: int = 0,
        vectors: int = 1,
        outputs: int = 0,
        pooled: int = 0,
        kinds: tuple[int, ...] = (),
        width: int = 64,
        depth: int = 3,
        heads: int = 4,
        num_classes: int | None = None,
        context: int | None = None,
        frequencies: int | None = None,
    ) -> None:
        super().__init__()
        self.coordinates, self.kinds = whole("coordinates", coordinates), tuple(kinds)
        own = whole("vectors", vectors) * (positions or coordinates)
        self.outputs = (own, outputs) if whole("outputs", outputs, least=0) else (own,)
        self.pooled = whole("pooled", pooled, least=0)
        width, heads = whole("width", width), whole("heads", heads)
        if width % heads:
            raise InputError(f"width {width} must be a multiple of the heads={heads}")
        self.num_classes, self.context_size = num_classes, context
        self.points = MarkEmbedding(coordinates, self.kinds, width, frequencies)
        self.set = nn.Parameter(torch.zeros(width))
        self.count = nn.Linear(3, width)
        self.conditioning = Conditioning(width, num_classes, context)
        self.layers = nn.ModuleList(_Layer(width, heads) for _ in range(layers("depth", depth)))
        self.norm = nn.LayerNorm(width)
        self.each = nn.Linear(width, sum(self.outputs))
        self.whole = nn.Linear(width, pooled) if pooled else None
        for layer in (self.each, self.whole):
            if layer is not None:
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, x: Any, t: Tensor, c: Tensor | None = None) -> tuple[Tensor, ...]:
        """The outputs at sets `(x, mask)` or `(x, mask, kinds)`, times, labels or contexts.

        Numbers of the set `(B, pooled)`, vectors `(B, slots, vectors positions)`, one after the
        other, and numbers of each point `(B, slots, outputs)`; what was not asked for is left out.
        """
        places, mask, *kinds = x
        if places.ndim != 3 or places.shape[2] != self.coordinates:
            raise InputError(
                f"sets have shape (B, slots, {self.coordinates}), not {tuple(places.shape)}"
            )
        given = self.conditioning(t, c, len(places)) + self.count(counted(mask).to(places))
        h = self.points(places, kinds[0] if kinds else None)
        h = torch.cat([(self.set + given).unsqueeze(1), h], 1)
        seen = functional.pad(mask, (1, 0), value=True)[:, None, None]
        embedding = functional.silu(given)
        for layer in self.layers:
            h = layer(h, embedding, seen)
        h = self.norm(h)
        each = self.each(h[:, 1:]) * mask.unsqueeze(-1)
        first = () if self.whole is None else (self.whole(h[:, 0]),)
        return (*first, *each.split(self.outputs, -1))
