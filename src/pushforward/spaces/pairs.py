"""Geodesic distances between all points of two sets."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.spaces.manifold import Manifold

__all__ = ["squared_distances"]

_AT_ONCE = 1 << 19
"""How many distances are computed at a time."""


def squared_distances(space: Manifold, x: Tensor, y: Tensor) -> Tensor:
    """Squared geodesic distances of `(n, *event)` and `(m, *event)`, `(n, m)`.

    >>> from pushforward.spaces.torus import Torus
    >>> squared_distances(Torus(), torch.tensor([[3.0]]), torch.tensor([[3.0], [2.0]]))
    tensor([[0., 1.]])
    """
    found = []
    for part in x.split(max(1, _AT_ONCE // max(1, len(y)))):
        many = y.repeat(len(part), *(1,) * (y.ndim - 1))
        square = space.distance(part.repeat_interleave(len(y), 0), many).square()
        found.append(square.reshape(len(part), len(y)))
    return torch.cat(found)
