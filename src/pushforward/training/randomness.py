"""Randomness as a function of the step, so that a resumed run draws what it would have drawn."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["Batches", "step_seed"]

_MASK = (1 << 64) - 1


def step_seed(seed: int, *keys: int) -> int:
    """A seed for each key, well mixed (SplitMix64, Steele et al. 2014).

    >>> step_seed(0, 1) != step_seed(1, 0)
    True
    """
    state = 0
    for key in (seed, *keys):
        state = (state + 0x9E3779B97F4A7C15 + (key & _MASK)) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state >> 1


class Batches:
    """The rows of each step's batch: random permutations of the data, one after the other.

    Every row comes once per pass over the data; a batch may straddle two passes.

    >>> rows = Batches(5, 3, seed=0)
    >>> sorted(torch.cat([rows(k) for k in range(5)]).tolist()) == sorted(3 * list(range(5)))
    True
    """

    def __init__(self, n: int, batch_size: int, seed: int) -> None:
        self.n, self.batch_size, self.seed = n, batch_size, seed
        self._passes: dict[int, Tensor] = {}

    def __call__(self, step: int) -> Tensor:
        """Row numbers `(batch_size,)` of step `step`, counted from 0."""
        first = step * self.batch_size
        parts, position, left = [], first, self.batch_size
        while left:
            number, offset = divmod(position, self.n)
            part = self._pass(number)[offset : offset + left]
            parts.append(part)
            position, left = position + len(part), left - len(part)
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _pass(self, number: int) -> Tensor:
        if number not in self._passes:
            generator = torch.Generator().manual_seed(step_seed(self.seed, number))
            order = torch.randperm(self.n, generator=generator)
            # Only the current pass and the one before can be asked for again.
            self._passes = {k: v for k, v in self._passes.items() if k == number - 1}
            self._passes[number] = order
        return self._passes[number]
