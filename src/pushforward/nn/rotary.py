"""Attention that sees how far apart two places are: rotary positions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from pushforward.checks import whole
from pushforward.errors import InputError

__all__ = ["RotaryAttention", "angles"]


def angles(places: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines `(L, width / 2)` of the angles by which places `(L,)` turn their features.

    The frequencies are `10000^(-2i / width)` (Su et al. 2021).

    >>> cos, sin = angles(torch.arange(3), 4)
    >>> cos[0].tolist(), sin[0].tolist()
    ([1.0, 1.0], [0.0, 0.0])
    """
    exponents = torch.arange(0, width, 2, device=places.device) / width
    turned = places.unsqueeze(-1) * 10_000.0**-exponents
    return turned.cos(), turned.sin()


def _turned(h: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Features `(..., L, width)`, each pair rotated by the angle of its place."""
    first, second = h.chunk(2, -1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], -1)


class RotaryAttention(nn.Module):
    """Self-attention whose scores depend on the distance of two places (Su et al. 2021).

    Queries and keys are rotated by an angle proportional to their place, so that their product
    knows the difference alone. The rest is `scaled_dot_product_attention` of torch, which has
    kernels that never write the whole table of scores.

    Args:
        width: features of each place.
        heads: a divisor of the width that leaves an even number of features to each head.

    Raises `InputError` for sizes that do not fit.

    >>> attention = RotaryAttention(8, 2)
    >>> attention(torch.zeros(5, 3, 8), angles(torch.arange(3), 4)).shape
    torch.Size([5, 3, 8])
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.width, self.heads = whole("width", width), whole("heads", heads)
        if width % (2 * heads):
            raise InputError(f"width {width} must be a multiple of twice the heads={heads}")
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def project(self, h: Tensor, turns: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values `(B, heads, L, width / heads)`, the first two rotated."""
        batch, length, _ = h.shape
        # (3, B, heads, L, width per head)
        qkv = self.qkv(h).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        return _turned(q, *turns).to(v.dtype), _turned(k, *turns).to(v.dtype), v

    def joined(self, mixed: Tensor) -> Tensor:
        """What the heads saw, `(B, heads, L, width / heads)`, as features `(B, L, width)`."""
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out

    def forward(
        self, h: Tensor, turns: tuple[Tensor, Tensor], mask: Tensor | None = None
    ) -> Tensor:
        """What each place sees of the others, `(B, L, width)`.

        `turns` are the `angles` of the places; `mask` `(L, L)` says who sees whom, everybody all
        by default.
        """
        q, k, v = self.project(h, turns)
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.joined(mixed)
