"""Sets of points whose number varies: a fixed number of slots, some of them filled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward._random import uniform
from pushforward.config import configurable

__all__ = ["PointCloud", "Points"]


class Points(NamedTuple):
    """A batch of point sets: coordinates `(B, slots, d)` and which slots are filled, `(B, slots)`.

    Empty slots hold zeros. The slots are exchangeable: a model should not read their order, and
    data should be spread over the slots at random (`scatter`), or the pattern of empty slots would
    tell where points have been removed.
    """

    x: Tensor
    mask: Tensor

    @property
    def number(self) -> Tensor:
        """The number of points in each set, `(B,)`."""
        return self.mask.sum(-1)

    def scatter(self, generator: torch.Generator | None = None) -> Points:
        """The same sets with their slots in random order, row by row."""
        keys = uniform(self.mask.shape, generator, device=self.mask.device)
        order = keys.argsort(-1)
        x = self.x.gather(1, order.unsqueeze(-1).expand_as(self.x))
        return Points(x, self.mask.gather(1, order))


@configurable
@dataclass(frozen=True)
class PointCloud:
    """The space of `Points`: a jump fills a slot or empties it.

    >>> full = Points(torch.ones(1, 2, 1), torch.tensor([[True, True]]))
    >>> empty = Points(torch.zeros(1, 2, 1), torch.tensor([[False, False]]))
    >>> PointCloud().where(torch.tensor([[True, False]]), full, empty).number
    tensor([1])
    """

    def where(self, fired: Tensor, new: Points, old: Points) -> Points:
        """`new` at the slots that fired, `old` elsewhere."""
        x = torch.where(fired.unsqueeze(-1), new.x, old.x)
        return Points(x, torch.where(fired, new.mask, old.mask))
