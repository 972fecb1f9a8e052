"""Symbols that are drawn on their own, site by site."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward._random import drawn_from_logits, resolve
from pushforward.errors import InputError

__all__ = ["IndependentSymbols"]


class IndependentSymbols:
    """Sequences `(n, *shape)` whose symbols are independent: the prior of jumps.

    Args:
        probabilities: `(K,)` for all sites, or `(sites, K)`.
        shape: of a sequence.

    Raises `InputError` for another number of sites.

    >>> IndependentSymbols(torch.tensor([0.5, 0.5]), (3,)).log_prob(torch.tensor([[0, 1, 1]]))
    tensor([-2.0794])
    """

    def __init__(self, probabilities: Tensor, shape: tuple[int, ...]) -> None:
        sites = tuple(probabilities.shape[:-1])
        if sites and sites != tuple(shape):
            raise InputError(f"probabilities of {sites[0]} sites, but states of shape {shape}")
        self.probabilities = probabilities.expand(*shape, probabilities.shape[-1])

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """`n` draws."""
        generator = resolve(seed, generator, self.probabilities.device, rows=n)
        logits = self.probabilities.log().to(generator.device)
        return drawn_from_logits(logits.expand(n, *logits.shape), generator)

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-probability of each sequence, `(n,)`."""
        logs = self.probabilities.log().to(x.device).expand(*x.shape, -1)
        return logs.gather(-1, x.unsqueeze(-1)).squeeze(-1).flatten(1).sum(1)
