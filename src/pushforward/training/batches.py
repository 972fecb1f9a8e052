"""Which rows make the batch of a step: a function of seed and step alone."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward._random import derived_seed

__all__ = ["Batches"]


class Batches:
    """The rows of each step's batch: random permutations of the data, one after the other.

    Every row comes once per pass over the data; a batch may straddle passes. Any step can be asked
    for, so that a resumed run needs no other position than its step.

    >>> rows = Batches(5, 3, seed=0)
    >>> sorted(torch.cat([rows(k) for k in range(5)]).tolist()) == sorted(3 * list(range(5)))
    True
    """

    def __init__(self, n: int, batch_size: int, seed: int) -> None:
        self.n, self.batch_size, self.seed = n, batch_size, seed
        self._pass_number = -1
        self._order = torch.empty(0)

    def __call__(self, step: int) -> Tensor:
        """Row numbers `(batch_size,)` of step `step`, counted from 0."""
        parts, position, left = [], step * self.batch_size, self.batch_size
        while left:
            number, offset = divmod(position, self.n)
            part = self._pass(number)[offset : offset + left]
            parts.append(part)
            position, left = position + len(part), left - len(part)
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _pass(self, number: int) -> Tensor:
        if number != self._pass_number:
            generator = torch.Generator().manual_seed(derived_seed(self.seed, number))
            self._order = torch.randperm(self.n, generator=generator)
            self._pass_number = number
        return self._order
