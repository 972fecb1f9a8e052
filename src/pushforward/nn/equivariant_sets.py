"""The equivariant network as one of sets with marks: what processes of sets ask for."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pushforward.checks import whole
from pushforward.config import configurable
from pushforward.nn.equivariant import EquivariantNetwork
from pushforward.nn.set_transformer import MarkEmbedding, counted

__all__ = ["EquivariantSets"]


@configurable
class EquivariantSets(nn.Module):
    """Vectors and numbers of each point, and numbers of the set, by an `EquivariantNetwork`.

    The first `positions` coordinates turn and move; the others, and the marks, are features.
    Numbers of the set are the weighted mean of those of its points, with weights by attention.

    Args:
        coordinates: numbers of a point, positions included.
        positions: how many of them are the position.
        vectors: vectors of each point that go out.
        outputs: numbers of each point that go out.
        pooled: numbers of the set that go out before them; none by default.
        kinds: how many values each mark of the points has.
        width: features.
        depth: rounds of messages.
        num_classes: the number of labels for conditional models.
        context: the length of a context vector in their place.

    Raises `InputError` for sizes below one.

    >>> net = EquivariantSets(4, positions=3, vectors=2, outputs=5, width=16, depth=2)
    >>> x, mask = torch.randn(2, 6, 4), torch.rand(2, 6) < 0.5
    >>> [tuple(out.shape) for out in net((x, mask), torch.rand(2))]
    [(2, 6, 6), (2, 6, 5)]
    """

    shares_time = True
    """Takes a time `()` for all states, besides one for each."""

    reads_sets = True
    """Takes sets as they are, not numbers that a space makes of them."""

    def __init__(
        self,
        coordinates: int,
        positions: int = 3,
        vectors: int = 1,
        outputs: int = 0,
        pooled: int = 0,
        kinds: tuple[int, ...] = (),
        width: int = 64,
        depth: int = 4,
        num_classes: int | None = None,
        context: int | None = None,
    ) -> None:
        super().__init__()
        self.positions, self.kinds = whole("positions", positions), tuple(kinds)
        whole("coordinates", coordinates, least=positions)
        self.num_classes, self.context_size = num_classes, context
        self.points = MarkEmbedding(coordinates - positions, self.kinds, width)
        self.count = nn.Linear(3, width)
        self.outputs, self.pooled = whole("outputs", outputs, least=0), pooled
        self.net = EquivariantNetwork(
            width, width, depth, outputs=width, vectors=vectors,
            num_classes=num_classes, context=context,
        )  # fmt: skip
        self.nothing = nn.Parameter(torch.zeros(width))
        self.attention = nn.Linear(width, 1)
        self.each = nn.Linear(width, outputs) if outputs else None
        # Hidden units: of an empty set all is known by what is told, and a linear map of that could
        # not say that numbers of some composition are even.
        self.whole = (
            nn.Sequential(nn.Linear(2 * width + 3, width), nn.SiLU(), nn.Linear(width, pooled))
            if pooled
            else None
        )

    def forward(self, x: Any, t: Tensor, c: Tensor | None = None) -> tuple[Tensor, ...]:
        """The outputs at sets `(x, mask)` or `(x, mask, kinds)`, times, labels or contexts.

        Numbers of the set `(B, pooled)`, vectors `(B, slots, vectors positions)`, one after the
        other, and numbers of each point `(B, slots, outputs)`; what was not asked for is left out.
        """
        places, mask, *kinds = x
        count = counted(mask).to(places)
        h = self.points(places[..., self.positions :], kinds[0] if kinds else None)
        h = h + self.count(count).unsqueeze(1)
        vectors, h = self.net(places[..., : self.positions], h, mask, t, c)
        found: tuple[Tensor, ...] = (vectors,)
        if self.each is not None:
            found = (*found, self.each(h) * mask.unsqueeze(-1))
        if self.whole is not None:
            nothing = self.nothing.expand(len(h), 1, -1)
            h = torch.cat([nothing, h], 1)
            hidden = torch.cat([torch.zeros_like(mask[:, :1]), ~mask], 1)
            weights = self.attention(h).squeeze(-1).masked_fill(hidden, -torch.inf).softmax(1)
            mean = (weights.unsqueeze(-1) * h).sum(1)
            given = self.net.conditioning(t, c, len(h)).expand(len(h), -1)
            found = (self.whole(torch.cat([mean, given, count], 1)), *found)
        return found
