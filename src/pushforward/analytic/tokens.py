"""A table of sequences under masking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.distributions import Table
from pushforward.processes import Masking
from pushforward.protocols import Model, Time

__all__ = ["AnalyticTokens"]


@dataclass(frozen=True)
class AnalyticTokens:
    """Sequences from a table; given the visible tokens, each hidden one has an exact distribution.

    >>> AnalyticTokens.random(3, 3, seed=0).data.probabilities.shape
    torch.Size([3, 3, 3])
    """

    data: Table

    @classmethod
    def random(cls, vocabulary: int, sites: int, *, seed: int) -> AnalyticTokens:
        """A random table, uniform on the simplex."""
        u = torch.rand((vocabulary,) * sites, generator=resolve(seed), dtype=torch.float64)
        weights = -torch.log1p(-u)
        return cls(Table(weights / weights.sum()))

    def model(self, process: Masking) -> Model:
        """Log-probabilities of every token at every site given the visible ones, by enumeration."""
        states = self.data.states()
        weights = self.data.probabilities.flatten()
        symbols = torch.nn.functional.one_hot(states, self.data.vocabulary).to(weights)

        def logits(x_t: Tensor, t: Time, c: Any = None) -> Tensor:
            hidden = x_t == process.space.mask
            agrees = (hidden.unsqueeze(1) | (x_t.unsqueeze(1) == states)).all(-1)
            posterior = agrees * weights
            posterior = posterior / posterior.sum(-1, keepdim=True)
            return torch.einsum("bs,snk->bnk", posterior, symbols).log()

        return logits
