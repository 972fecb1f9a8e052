"""A network of points in space that turns, moves and is mirrored with them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pushforward.checks import layers, whole
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.nn.conditioning import Conditioning

__all__ = ["EquivariantNetwork"]


class _Distances(nn.Module):
    """Squared distances as smooth functions of the distance, finer for near points.

    `log(1 + d^2)`, and bells that are even in `exp(-d)` (Unke & Meuwly 2019).
    """

    centers: Tensor
    size = 16

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("centers", torch.linspace(0, 1, self.size - 1), persistent=False)

    def forward(self, squares: Tensor) -> Tensor:
        """Features `(E, 16)` of `(E, 1)`."""
        # The root has no slope where points coincide.
        near = (-(squares + 1e-12).sqrt()).exp() - self.centers
        return torch.cat([squares.log1p(), (-0.5 * (self.size * near).square()).exp()], -1)


class _Layer(nn.Module):
    r"""One round of messages `m_ij = phi(h_i, h_j, |x_i - x_j|, |x_i^0 - x_j^0|)`.

    Features are changed by the sum of gated messages, positions by
    `sum_j (x_i - x_j) / (|x_i - x_j| + 1) psi(m_ij)`.
    """

    def __init__(self, width: int, vectors: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.own, self.other = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.distances = nn.Linear(2 * _Distances.size, width, bias=False)
        self.message = nn.Sequential(nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.gate = nn.Linear(width, 1)
        self.update = nn.Sequential(nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, width))
        self.push = nn.Linear(width, vectors)
        # Small at first: an untrained network nearly leaves the points where they are.
        nn.init.uniform_(self.push.weight, -1e-3, 1e-3)
        nn.init.zeros_(self.push.bias)

    def forward(
        self, gap: Tensor, h: Tensor, lengths: Tensor, ends: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Features `(points, width)`, and `(points, vectors, d)` by which points are pushed.

        Args:
            gap: from the second end of each pair to the first, `(E, d)`.
            h: features `(points, width)`.
            lengths: features of the lengths of pairs, `(E, 2 * 16)`.
            ends: which points they are between.
        """
        i, j = ends
        own = self.norm(h)
        message = self.message(self.own(own)[i] + self.other(own)[j] + self.distances(lengths))
        message = message * self.gate(message).sigmoid()
        told = torch.zeros_like(h).index_add(0, i, message.to(h.dtype))
        h = h + self.update(torch.cat([own, told], -1))
        unit = gap / ((gap.square().sum(-1, keepdim=True) + 1e-12).sqrt() + 1)
        pushes = unit.unsqueeze(1) * self.push(message).to(gap.dtype).unsqueeze(-1)
        pushed = gap.new_zeros(len(h), *pushes.shape[1:]).index_add(0, i, pushes)
        return h, pushed


@configurable
class EquivariantNetwork(nn.Module):
    r"""Vectors and numbers of each point, from the distances of all pairs (Satorras et al. 2021).

    Rotations and reflections of the positions turn the vectors with them and leave the numbers;
    translations leave both; so does, up to order, a permutation of the points. Vectors are
    displacements about the center of a set: their mean over its points is zero.

    Only pairs of points that are there are looked at: of a half-filled batch a quarter of all.

    Args:
        features: numbers that come with each point.
        width: of hidden features.
        depth: rounds of messages; a round takes the `n (n - 1)` pairs of each set.
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
        self.distances = _Distances()
        self.rounds = nn.ModuleList(
            _Layer(width, 1 if k < depth - 1 else vectors) for k in range(depth)
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
        h = self.first(torch.cat([h, given], -1)).flatten(0, 1)
        ends = _pairs(mask)
        i, j = ends
        first = start.flatten(0, 1)[i] - start.flatten(0, 1)[j]
        at_first = self.distances(first.square().sum(-1, keepdim=True))
        # Displacements by themselves: added to the positions they would lose digits.
        moved = torch.zeros_like(start).flatten(0, 1).unsqueeze(1)
        for layer in self.rounds:
            gap = first + moved[i, 0] - moved[j, 0]
            now = self.distances(gap.square().sum(-1, keepdim=True))
            h, pushed = layer(gap, h, torch.cat([now, at_first], -1), ends)
            moved = moved + pushed
        moved = moved.unflatten(0, mask.shape)
        count = mask.sum(1).clamp_min(1).reshape(-1, 1, 1, 1)
        shown = there.unsqueeze(-1).to(x.dtype)
        moved = (moved - (moved * shown).sum(1, keepdim=True) / count) * shown
        return moved.flatten(2), self.last(h).unflatten(0, mask.shape) * there


def _pairs(mask: Tensor) -> tuple[Tensor, Tensor]:
    """The two ends of all pairs of different points of a set, numbered over the batch."""
    slots = mask.shape[1]
    both = mask.unsqueeze(2) & mask.unsqueeze(1)
    both = both & ~torch.eye(slots, dtype=torch.bool, device=mask.device)
    row, i, j = both.nonzero(as_tuple=True)
    return row * slots + i, row * slots + j
