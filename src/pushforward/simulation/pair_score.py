"""A network of the score of particles of one kind, which interact in pairs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pushforward.checks import layers, whole
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.nn import Perceptron

__all__ = ["PairScore"]


@configurable
class PairScore(nn.Module):
    r"""`s_i = A x_i + B mean_j x_j + c + f(x_i) + mean_j g(x_i, x_j)` for particles `x_1 .. x_N`.

    The terms of one and of two bodies of Boffi & Vanden-Eijnden (2023), around an affine map, so
    that normal distributions are learned at once and exactly; particles may be exchanged. Both
    perceptrons begin as zero, and the affine map as `-x_i`, the score of a standard normal one.

    Args:
        dimension: numbers of a particle, the last axis of states `(B, N, dimension)`.
        width: hidden units.
        depth: hidden layers of each perceptron.

    Raises `InputError` for sizes below one, and for states of another shape.

    >>> PairScore(2, width=8)(torch.ones(3, 5, 2))[0, 0].detach()
    tensor([-1., -1.])
    """

    def __init__(self, dimension: int, width: int = 32, depth: int = 2) -> None:
        super().__init__()
        self.dimension = whole("dimension", dimension)
        width, depth = whole("width", width), layers("depth", depth)
        self.own = nn.Linear(dimension, dimension)
        self.mean = nn.Linear(dimension, dimension, bias=False)
        self.one = Perceptron(dimension, dimension, width, depth, zero=True)
        self.two = Perceptron(2 * dimension, dimension, width, depth, zero=True)
        with torch.no_grad():
            self.own.weight.copy_(-torch.eye(dimension))
            nn.init.zeros_(self.own.bias)
            nn.init.zeros_(self.mean.weight)

    def forward(self, x: Tensor) -> Tensor:
        """The score `(B, N, dimension)` at particles of that shape."""
        if x.ndim != 3 or x.shape[2] != self.dimension:
            raise InputError(f"particles have shape (B, N, {self.dimension}), not {tuple(x.shape)}")
        rows, count = x.shape[:2]
        flat = x.flatten(0, 1)
        first = x.unsqueeze(2).expand(-1, -1, count, -1)
        pairs = torch.cat([first, first.transpose(1, 2)], -1).flatten(0, 2)
        two = self.two(pairs).unflatten(0, (rows, count, count)).mean(2)
        alone = (self.own(flat) + self.one(flat)).unflatten(0, (rows, count))
        return alone + self.mean(x.mean(1, keepdim=True)) + two
