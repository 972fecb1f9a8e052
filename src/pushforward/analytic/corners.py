"""A table of sequences along Dirichlet distributions, from uniform shares to corners."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from pushforward._shapes import like
from pushforward.distributions import Table
from pushforward.processes import DirichletPath
from pushforward.protocols import Model, Time

__all__ = ["AnalyticCorners"]


@dataclass(frozen=True)
class AnalyticCorners:
    """Sequences from a table under `DirichletPath`; given shares, each has an exact chance.

    Each site speaks for its symbol `k` as `x_k^s` does, with the weight `s` of the time.

    >>> from pushforward.spaces import Vertices
    >>> table = Table(torch.full((3, 3), 1 / 9))
    >>> world = AnalyticCorners(DirichletPath(Vertices(3)), table)
    >>> world.model()(torch.full((1, 2, 3), 1 / 3), 0.5).exp()
    tensor([[[0.3333, 0.3333, 0.3333],
             [0.3333, 0.3333, 0.3333]]])
    """

    process: DirichletPath
    data: Table

    def model(self) -> Model:
        """Log-probabilities of every symbol at every site given the shares, by enumeration."""

        def logits(x_t: Tensor, t: Time, c: Any = None) -> Tensor:
            posterior = torch.softmax(self._joint(x_t, t), -1)
            return torch.einsum("bs,snk->bnk", posterior, self._symbols()).log()

        return logits

    def noised_log_prob(self, x_t: Tensor, t: float) -> Tensor:
        """The log-density at a time, per unit of all shares but the last of each site, `(B,)`."""
        s = torch.as_tensor(self.process.weight(t)).to(self.data.probabilities)
        # Gamma(K + s) / Gamma(1 + s) at each site, whatever its symbol.
        size = torch.lgamma(self.data.vocabulary + s) - torch.lgamma(1 + s)
        return torch.logsumexp(self._joint(x_t, t), -1) + self.data.sites * size

    def _symbols(self) -> Tensor:
        """The sequences as corners, `(S, sites, K)`."""
        codes = functional.one_hot(self.data.states(), self.data.vocabulary)
        return codes.to(self.data.probabilities)

    def _joint(self, x_t: Tensor, t: Time) -> Tensor:
        """Joint log-densities of shares and sequences, but for a constant, `(B, S)`."""
        weights = self.data.probabilities.flatten()
        shares = x_t.to(weights).clamp_min(torch.finfo(weights.dtype).tiny)
        own = like(torch.as_tensor(self.process.weight(t)).to(weights), x_t) * shares.log()
        return torch.einsum("bnk,snk->bs", own, self._symbols()) + weights.log()
