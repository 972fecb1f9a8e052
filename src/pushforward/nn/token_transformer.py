"""A transformer over sequences of symbols, told the time."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from pushforward.checks import fraction, layers, whole
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.nn.conditioning import Conditioning
from pushforward.nn.rotary import RotaryAttention, angles

__all__ = ["TokenTransformer"]


_NEAR = 3
"""How many sites a convolution sees: one and its two neighbors."""


class _Layer(nn.Module):
    """Neighbors, attention and a perceptron, the last two shifted, scaled and gated by the time.

    Attention starts out by looking at all sites alike, and where hidden ones are all the same it
    takes thousands of steps until it tells which is next to it. A convolution of each feature
    by itself knows from the start (as in Gulati et al. 2020).
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.near = nn.Conv1d(width, width, _NEAR, padding=_NEAR // 2, groups=width)
        self.attention = RotaryAttention(width, heads)
        last = nn.Linear(4 * width, width)
        self.perceptron = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Dropout(dropout), last
        )
        self.modulate = nn.Linear(width, 6 * width)
        # The gates are open at first, and what they let through is zero: but for the neighbors a
        # new layer is the identity, and learns from the first step.
        for layer in (self.attention.out, last):
            nn.init.zeros_(layer.weight)
        nn.init.zeros_(last.bias)
        nn.init.zeros_(self.modulate.weight)
        nn.init.zeros_(self.modulate.bias)
        with torch.no_grad():
            self.modulate.bias.view(6, width)[[2, 5]] = 1.0

    def forward(self, h: Tensor, embedding: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
        shift, scale, gate, shift_2, scale_2, gate_2 = self.modulate(embedding)[:, None].chunk(
            6, -1
        )
        h = h + self.near(h.mT).mT
        h = h + gate * self.attention(_normalized(h, shift, scale), turns)
        out: Tensor = h + gate_2 * self.perceptron(_normalized(h, shift_2, scale_2))
        return out


@configurable
class TokenTransformer(nn.Module):
    """Logits of every symbol at every site, from sequences in which some symbols are hidden.

    A transformer with rotary positions (Su et al. 2021), so that sequences of any length go
    through, whose layer normalizations are modulated by the time as in a `DiT` (Peebles & Xie
    2023), and with a convolution over neighboring sites in each layer. Every site sees every other
    one.

    Args:
        symbols: how many there are; `symbols` itself stands for one that is hidden.
        width: features of each site.
        depth: layers.
        heads: attention heads, a divisor of the width that leaves an even number to each.
        num_classes: the number of labels for conditional models.
        context: the length of a context vector in their place.
        dropout: inside the perceptrons.

    Raises `InputError` for sizes that do not fit, or sequences of other shapes.

    >>> net = TokenTransformer(27, width=16, depth=1, heads=2)
    >>> net(torch.full((2, 5), 27), torch.rand(2)).shape
    torch.Size([2, 5, 27])
    """

    shares_time = True
    """Takes a time `()` for all states, besides one for each."""

    reads_symbols = True
    """Takes the symbols themselves, not numbers that a space makes of them."""

    def __init__(
        self,
        symbols: int,
        width: int = 128,
        depth: int = 4,
        heads: int = 4,
        num_classes: int | None = None,
        context: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.symbols, self.num_classes = whole("symbols", symbols), num_classes
        self.context_size = context
        dropout = fraction("dropout", dropout)
        self.heads = whole("heads", heads)
        self.embedding = nn.Embedding(symbols + 1, whole("width", width))
        self.conditioning = Conditioning(width, num_classes, context)
        self.layers = nn.ModuleList(
            _Layer(width, heads, dropout) for _ in range(layers("depth", depth))
        )
        self.modulate = nn.Linear(width, 2 * width)
        self.last = nn.Linear(width, symbols)
        # Zero at first: an untrained model finds all symbols as likely.
        for layer in (self.modulate, self.last):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        """Logits `(B, L, symbols)` at sequences `(B, L)`, times `(B,)` or `()`, labels."""
        if x.ndim != 2 or x.is_floating_point():
            raise InputError(f"sequences are integers (B, L), not {x.dtype} {tuple(x.shape)}")
        embedding = functional.silu(self.conditioning(t, c, len(x)))
        h = self.embedding(x)
        turns = angles(torch.arange(x.shape[1], device=x.device), h.shape[-1] // self.heads)
        for layer in self.layers:
            h = layer(h, embedding, turns)
        shift, scale = self.modulate(embedding)[:, None].chunk(2, -1)
        out: Tensor = self.last(_normalized(h, shift, scale))
        return out


def _normalized(h: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return functional.layer_norm(h, h.shape[-1:]) * (1 + scale) + shift
