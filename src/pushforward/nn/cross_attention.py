"""Attention of one sequence to another: how parts of a picture look at the words of a text."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from pushforward.checks import whole
from pushforward.errors import InputError

__all__ = ["CrossAttention"]


class CrossAttention(nn.Module):
    r"""`x + W softmax(q k^T / sqrt(d)) v`, with `q` of `x` and `k`, `v` of a context.

    As in latent diffusion (Rombach et al. 2022, section 3.3). The context is a sequence with a mask
    of the entries that are there. A learned entry that is always there stands beside it, so that an
    empty sequence is answered too. `W` starts at zero: a new layer is the identity.

    Args:
        width: features of `x`, `(B, N, width)`.
        context_width: features of the context, `(B, L, context_width)`.
        heads: attention heads, a divisor of the width.

    >>> layer = CrossAttention(8, 6, heads=2)
    >>> mask = torch.tensor([[True, True, False]])
    >>> layer(torch.randn(1, 4, 8), torch.randn(1, 3, 6), mask).shape
    torch.Size([1, 4, 8])
    """

    def __init__(self, width: int, context_width: int, heads: int = 1) -> None:
        super().__init__()
        width, self.heads = whole("width", width), whole("heads", heads)
        if width % heads:
            raise InputError(f"width {width} must be a multiple of heads={heads}")
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.pairs = nn.Linear(whole("context_width", context_width), 2 * width)
        self.nothing = nn.Parameter(torch.randn(1, 1, context_width) / context_width**0.5)
        self.out = nn.Linear(width, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(
        self, x: Tensor, context: Tensor, mask: Tensor, places: Tensor | None = None
    ) -> Tensor:
        """The sequences `(B, N, width)`, told of contexts `(B, L, context_width)`.

        `mask` `(B, L)` is true for the entries of a context that are there. `places` `(N, width)`
        join what asks, so that the answer may depend on where it is.
        """
        batch = len(context)
        context = torch.cat([self.nothing.expand(batch, -1, -1), context], 1)
        there = torch.cat([mask.new_ones(batch, 1), mask], 1)
        asking = self.norm(x) if places is None else self.norm(x) + places
        q = self._parted(self.query(asking))
        k, v = map(self._parted, self.pairs(context).chunk(2, -1))
        seen = functional.scaled_dot_product_attention(q, k, v, there[:, None, None, :])
        return x + self.out(seen.transpose(1, 2).flatten(2))

    def _parted(self, h: Tensor) -> Tensor:
        """`(B, heads, N, width per head)`."""
        return h.reshape(*h.shape[:2], self.heads, -1).transpose(1, 2)
