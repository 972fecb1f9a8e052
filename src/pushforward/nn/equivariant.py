"""A network of points in space that turns, moves and is mirrored with them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pushforward.checks import layers, whole
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.nn.conditioning import Conditioning

__all__ = ["EquivariantNetwork"]


class _Layer(nn.Module):
    r"""One round of messages `m_ij = phi(h_i, h_j, |x_i - x_j|^2, |x_i^0 - x_j^0|^2)`.

    Features are changed by the sum of gated messages, positions by
    `sum_j (x_i - x_j) / (|x_i - x_j| + 1) psi(m_ij)`.
    """

    def __init__(self, width: int, vectors: int, moves: bool) -> None:
        super().__init__()
        self.own, self.other = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.distances = nn.Linear(2, width, bias=False)
        self.message = nn.Sequential(nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.gate = nn.Linear(width, 1)
        self.update = nn.Sequential(nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, width))
        self.push = nn.Linear(width, vectors)
        self.moves = moves
        # Small at first: an untrained network nearly leaves the points where they are.
        nn.init.uniform_(self.push.weight, -1e-3, 1e-3)
        nn.init.zeros_(self.push.bias)

    def forward(
        self, x: Tensor, h: Tensor, first: Tensor, pairs: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Positions, features, and `(B, N, vectors, d)` by which points are pushed."""
        gap = x.unsqueeze(2) - x.unsqueeze(1)
        squares = gap.square().sum(-1, keepdim=True)
        edge = self.own(h).unsqueeze(2) + self.other(h).unsqueeze(1)
        message = self.message(edge + self.distances(torch.cat([squares, first], -1)))
        message = message * self.gate(message).sigmoid() * pairs
        h = h + self.update(torch.cat([h, message.sum(2)], -1))
        # The root has no slope where points coincide.
        unit = gap / ((squares + 1e-12).sqrt() + 1)
        pushed = torch.einsum("bijd,bijv->bivd", unit, self.push(message) * pairs)
        return (x + pushed[:, :, 0] if self.moves else x), h, pushed


@configurable
class EquivariantNetwork(nn.Module):
    r"""Vectors and numbers of each point, from the distances of all pairs (Satorras et al. 2021).

    Rotations and reflections of the positions turn the vectors with them and leave the numbers;
    translations leave both; so does, up to order, a permutation of the points. Vectors are
    displacements about the center of a set: their mean over its points is zero.

    Args:
        features: numbers that come with each point.
        width: of hidden features.
        depth: rounds of messages; a round takes `N^2` pairs.
        outputs: numbers that go out; as many as come in by default.
        vectors: vectors of each point.
        num_classes: the number of labels for conditional models.
        context: the length of a context vector in their place.

    Raises `InputError` for sizes below one, and for arrays that do not fit each other.

    >>> net = EquivariantNetwork(features=5, width=16, depth=2)
    >>> x, h, mask = torch.randn(2, 4, 3), torch.randn(2, 4, 5), torch.ones(2, 4).bool()
    >>> vectors, numbers = net(x, h, mask, torch.rand(2))
    >>> vectors.shape, numbers.shape
    (torch.Size([2, 4, 3]), torch.Size([2, 4, 5]))
    """

    shares_time = True
    """Takes a time `()` for all states, besides one for each."""

    def __init__(
        self,
        features: int,
        width: int = 64,
        depth: int = 4,
        outputs: int | None = None,
        vectors: int = 1,
        num_classes: int | None = None,
        context: int | None = None,
    ) -> None:
        super().__init__()
        self.features = whole("features", features, least=0)
        width, depth = whole("width", width), layers("depth", depth)
        self.num_classes, self.context_size = num_classes, context
        self.vectors = whole("vectors", vectors)
        self.conditioning = Conditioning(width, num_classes, context)
        self.first = nn.Linear(features + width, width)
        self.rounds = nn.ModuleList(
            _Layer(width, 1 if k < depth - 1 else vectors, k < depth - 1) for k in range(depth)
        )
        self.last = nn.Linear(width, features if outputs is None else whole("outputs", outputs))

    def forward(
        self, x: Tensor, h: Tensor, mask: Tensor, t: Tensor, c: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Vectors `(B, N, vectors d)`, one after the other, and numbers `(B, N, outputs)`.

        Args:
            x: positions `(B, N, d)`; what is in empty slots plays no part.
            h: features `(B, N, features)`.
            mask: which points are there, `(B, N)`; the output is zero for the others.
            t: times `(B,)` or `()`.
            c: labels or contexts.
        """
        if x.ndim != 3 or h.shape != (*x.shape[:2], self.features) or mask.shape != x.shape[:2]:
            raise InputError(
                "positions (B, N, d) come with as many features and a mask, not "
                f"{tuple(x.shape)} with {tuple(h.shape)} and {tuple(mask.shape)}: this network "
                f"takes {self.features} features"
            )
        there = mask.unsqueeze(-1)
        start = torch.where(there, x, torch.zeros_like(x))
        h = torch.where(there, h, torch.zeros_like(h))
        given = self.conditioning(t, c, len(x)).unsqueeze(1).expand(len(x), h.shape[1], -1)
        h = self.first(torch.cat([h, given], -1))
        pairs = (mask.unsqueeze(2) & mask.unsqueeze(1)).unsqueeze(-1).to(x.dtype)
        first = (start.unsqueeze(2) - start.unsqueeze(1)).square().sum(-1, keepdim=True)
        at = start
        for layer in self.rounds:
            at, h, pushed = layer(at, h, first, pairs)
        moved = (at - start).unsqueeze(2) + pushed
        count = mask.sum(1).clamp_min(1).reshape(-1, 1, 1, 1)
        shown = there.unsqueeze(-1).to(x.dtype)
        moved = (moved - (moved * shown).sum(1, keepdim=True) / count) * shown
        return moved.flatten(2), self.last(h) * there
