"""State-space models: a hidden state that moves, and is observed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward import checks
from pushforward._random import resolve

__all__ = ["Move", "StateSpaceModel"]

Move = Callable[[Tensor, torch.Generator], Tensor]
"""Rows `(M, d)` to one random row each."""


@dataclass(frozen=True)
class StateSpaceModel:
    """`x_0 ~ initial`, `x_k ~ transition(x_{k-1})`, and `y_k ~ observe(x_k)` at every time.

    All three draw from the generator that they are given, on the CPU.

    Args:
        initial: `f(M, generator)`, so many first states `(M, d)`.
        transition: `f(x, generator)`, the next state of each `(M, d)`.
        observe: `f(x, generator)`, an observation of each `(M, k)`.

    A walk that is observed with noise:

    >>> walk = StateSpaceModel(
    ...     initial=lambda n, g: torch.randn(n, 1, generator=g),
    ...     transition=lambda x, g: 0.9 * x + 0.4 * torch.randn(x.shape, generator=g),
    ...     observe=lambda x, g: x + torch.randn(x.shape, generator=g),
    ... )
    >>> x, y = walk.simulate(50, seed=0)
    >>> x.shape, y.shape
    (torch.Size([50, 1]), torch.Size([50, 1]))
    """

    initial: Callable[[int, torch.Generator], Tensor]
    transition: Move
    observe: Move

    def simulate(
        self, times: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """The states `(T, d)` and observations `(T, k)` of one path."""
        g = resolve(seed, generator)
        x = self.initial(1, g)
        states = [x]
        for _ in range(checks.whole("times", times) - 1):
            x = self.transition(x, g)
            states.append(x)
        path = torch.cat(states)
        return path, self.observe(path, g)
