"""How a network is told the time and the label."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pushforward.errors import InputError

__all__ = ["Conditioning"]


class Conditioning(nn.Module):
    """Features of time and label, `(B, width)`.

    Time enters through sines and cosines of geometrically spaced frequencies (Vaswani et al. 2017),
    the label through a learned vector, with one more for "no label".

    Args:
        width: the number of features.
        num_classes: the number of labels, or `None`.
        frequencies: the number of frequencies, from half a turn over [0, 1] to `highest` turns.
        highest: the highest frequency; higher tells nearer times apart.

    >>> Conditioning(16, num_classes=3)(torch.rand(2), torch.tensor([0, -1])).shape
    torch.Size([2, 16])
    """

    frequencies: Tensor

    def __init__(
        self,
        width: int,
        num_classes: int | None = None,
        frequencies: int = 32,
        highest: float = 64.0,
    ) -> None:
        super().__init__()
        turns = torch.logspace(math.log10(0.5), math.log10(highest), frequencies)
        self.register_buffer("frequencies", 2 * math.pi * turns, persistent=False)
        self.time = nn.Sequential(nn.Linear(2 * frequencies, width), nn.SiLU())
        self.mix = nn.Linear(width, width)
        self.num_classes = num_classes
        self.label = None if num_classes is None else nn.Embedding(num_classes + 1, width)

    def forward(self, t: Tensor, c: Tensor | None = None) -> Tensor:
        """Features at times `(B,)` for labels `(B,)` in -1..num_classes-1, or `None`."""
        angle = t.unsqueeze(-1) * self.frequencies
        features = self.time(torch.cat([angle.sin(), angle.cos()], -1))
        if self.label is not None:
            features = features + self.label(self._index(t, c))
        elif c is not None:
            raise InputError("this network takes no labels: make it with num_classes=")
        return self.mix(features)

    def _index(self, t: Tensor, c: Tensor | None) -> Tensor:
        """Row of the embedding; the last one stands for no label."""
        assert self.num_classes is not None
        if c is None:
            return torch.full(t.shape, self.num_classes, dtype=torch.long, device=t.device)
        return torch.where(c < 0, self.num_classes, c)
