"""A transformer that reads a sequence block by block, from left to right."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from pushforward.checks import layers, whole
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.nn.rotary import RotaryAttention, angles

__all__ = ["BlockTransformer"]


_MOST_GRAMS = 100_000


class _Seen(NamedTuple):
    """Who sees whom of `L` sites.

    Args:
        earlier: whether the second is in an earlier block, `(L, L)`.
        same: whether both are in the same block, `(L, L)`.
        near: which sites of a block are there, `(blocks, 1, block)`.
    """

    earlier: Tensor
    same: Tensor
    near: Tensor


class _Layer(nn.Module):
    """Attention and a perceptron, each on normalized features and added to what was there."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = RotaryAttention(width, heads)
        last = nn.Linear(4 * width, width)
        self.perceptron = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), last
        )
        # Zero at first: a new layer is the identity.
        nn.init.zeros_(self.attention.out.weight)
        nn.init.zeros_(last.weight)

    def forward(self, h: Tensor, turns: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        """A state alone: who sees whom says the mask `(L, L)`."""
        return self._on(h, self.attention(self.norm(h), turns, mask))

    def both(self, h: Tensor, turns: tuple[Tensor, Tensor], seen: _Seen, last: bool) -> Tensor:
        """A clean sequence and a noisy one after it, `(B, 2 L, width)`; of the last layer only the
        noisy one."""
        q, k, v = self.attention.project(self.norm(h), turns)
        length = h.shape[1] // 2
        clean = k[..., :length, :], v[..., :length, :]
        noisy = _noisy(q[..., length:, :], *clean, k[..., length:, :], v[..., length:, :], seen)
        if last:
            return self._on(h[:, length:], self.attention.joined(noisy))
        # Plain products: on a few hundred sites they are faster than kernels that save memory.
        scores = q[..., :length, :] / q.shape[-1] ** 0.5 @ clean[0].transpose(-1, -2)
        weights = scores.masked_fill(~(seen.earlier | seen.same), -torch.inf).softmax(-1)
        mixed = weights.to(v.dtype) @ clean[1]
        return self._on(h, self.attention.joined(torch.cat([mixed, noisy], -2)))

    def _on(self, h: Tensor, seen: Tensor) -> Tensor:
        h = h + seen
        out: Tensor = h + self.perceptron(self.norm_2(h))
        return out


def _noisy(q: Tensor, k: Tensor, v: Tensor, own_k: Tensor, own_v: Tensor, seen: _Seen) -> Tensor:
    """What noisy sites see: the clean ones `k, v` of earlier blocks, their own block as it is.

    In two pieces, of which the second is `block` wide: no table of scores over both sequences.
    """
    q = q / q.shape[-1] ** 0.5
    far = (q @ k.transpose(-1, -2)).masked_fill(~seen.earlier, -torch.inf)
    q, own_k, own_v = (_by_block(part, seen.near) for part in (q, own_k, own_v))
    near = (q @ own_k.transpose(-1, -2)).masked_fill(~seen.near, -torch.inf)
    length, block = far.shape[-2], near.shape[-1]
    weights = torch.cat([far, near.flatten(-3, -2)[..., :length, :]], -1).softmax(-1).to(v.dtype)
    inside = _by_block(weights[..., -block:], seen.near) @ own_v
    return weights[..., :-block] @ v + inside.flatten(-3, -2)[..., :length, :]


def _by_block(x: Tensor, near: Tensor) -> Tensor:
    """Sites `(..., L, width)` as `(..., blocks, block, width)`, with zeros behind the last."""
    blocks, _, block = near.shape
    return functional.pad(x, (0, 0, 0, blocks * block - x.shape[-2])).unflatten(-2, (-1, block))


@configurable
class BlockTransformer(nn.Module):
    """Logits of every symbol at every site, of which each sees its own block and those before it.

    The network of `processes.BlockMasking` (Arriola et al. 2025). As no block sees a later one, the
    blocks of a whole sequence can be asked at once, each as if it were the one that is being
    written: `(clean, noisy)` in the place of a state, where the noisy sites see the clean ones of
    earlier blocks. What is hidden tells the time, so the network is not told it.

    Args:
        symbols: how many there are; `symbols` itself stands for one that is hidden.
        block: how many sites a block has.
        width: features of each site.
        depth: layers.
        heads: attention heads, a divisor of the width that leaves an even number to each.
        grams: sites also have learned vectors of the last two, three, ... symbols up to themselves,
            as far as this many: what follows a few letters is then looked up (Pagnoni et al. 2024).

    Raises `InputError` for sizes that do not fit, or sequences of other shapes.

    >>> net = BlockTransformer(27, block=2, width=16, depth=1, heads=2)
    >>> net(torch.full((2, 6), 27), torch.rand(2)).shape
    torch.Size([2, 6, 27])
    """

    shares_time = True
    """Takes a time `()` for all states, besides one for each."""

    reads_symbols = True
    """Takes the symbols themselves, not numbers that a space makes of them."""

    def __init__(
        self,
        symbols: int,
        block: int = 4,
        width: int = 128,
        depth: int = 4,
        heads: int = 4,
        grams: int = 1,
    ) -> None:
        super().__init__()
        self.symbols, self.block = whole("symbols", symbols), whole("block", block)
        self.heads = whole("heads", heads)
        if (symbols + 1) ** whole("grams", grams) > _MOST_GRAMS:
            raise InputError(
                f"there are more than {_MOST_GRAMS} sequences of grams={grams} out of {symbols} "
                "symbols: take fewer"
            )
        self.embedding = nn.Embedding(symbols + 1, whole("width", width))
        self.grams = nn.ModuleList(
            nn.Embedding((symbols + 1) ** length, width) for length in range(2, grams + 1)
        )
        for table in (self.embedding, *self.grams):
            nn.init.normal_(table.weight, std=0.5)
        self.layers = nn.ModuleList(_Layer(width, heads) for _ in range(layers("depth", depth)))
        self.norm = nn.LayerNorm(width)
        self.last = nn.Linear(width, symbols)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        self._tables: dict[Any, tuple[tuple[Tensor, Tensor], _Seen]] = {}

    def forward(self, x: Any, t: Tensor, c: Tensor | None = None) -> Tensor:
        """Logits `(B, L, symbols)` at sequences `(B, L)`, or at all blocks of two of them."""
        if c is not None:
            raise InputError("a BlockTransformer takes no labels")
        both = isinstance(x, tuple)
        clean, noisy = x if both else (x, x)
        if noisy.ndim != 2 or noisy.is_floating_point() or clean.shape != noisy.shape:
            raise InputError(f"sequences are integers (B, L), not {noisy.dtype} {noisy.shape}")
        turns, seen = self._table(noisy.shape[1], noisy.device)
        if both:
            h = torch.cat(
                [self._looked_up(clean, clean, seen), self._looked_up(noisy, clean, seen)], 1
            )
            turns = (turns[0].repeat(2, 1), turns[1].repeat(2, 1))
            for k, layer in enumerate(self.layers):
                assert isinstance(layer, _Layer)
                h = layer.both(h, turns, seen, k == len(self.layers) - 1)
        else:
            h = self._looked_up(noisy, noisy, seen)
            for layer in self.layers:
                h = layer(h, turns, seen.earlier | seen.same)
        out: Tensor = self.last(self.norm(h))
        return out

    def _looked_up(self, x: Tensor, before: Tensor, seen: _Seen) -> Tensor:
        """The vectors of sites `(B, L)` and of the symbols that end there, of which those of
        earlier blocks come from `before`."""
        h, code, length = self.embedding(x), x, x.shape[1]
        for k, table in enumerate(self.grams, start=1):
            # A hidden symbol stands for those before the first.
            own, other = (
                functional.pad(s, (k, 0), value=self.symbols)[:, :length] for s in (x, before)
            )
            beside = functional.pad(seen.same.diagonal(-k), (min(k, length), 0))
            code = code + torch.where(beside, own, other) * (self.symbols + 1) ** k
            h = h + table(code)
        return h

    def _table(self, length: int, device: torch.device) -> tuple[tuple[Tensor, Tensor], _Seen]:
        """The angles of the sites, and who sees whom."""
        key = (length, device)
        if key not in self._tables:
            places = torch.arange(length, device=device)
            block = places // self.block
            near = functional.pad(torch.ones_like(places).bool(), (0, -length % self.block))
            seen = _Seen(
                block[:, None] > block,
                block[:, None] == block,
                near.view(-1, 1, self.block),
            )
            width = self.embedding.embedding_dim // self.heads
            self._tables = {key: (angles(places, width), seen)}
        return self._tables[key]
