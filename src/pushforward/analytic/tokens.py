"""A table of sequences under masking, or under jumps of any rates."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pushforward._random import resolve
from pushforward.distributions import Table
from pushforward.processes import Jumps, Masking
from pushforward.protocols import Model, Time

__all__ = ["AnalyticTokens", "likelihood_of_tokens"]

_NODES, _PANELS = 8, 8
"""Gauss-Legendre nodes on each of the panels of an integral over the time."""


@dataclass(frozen=True)
class AnalyticTokens:
    """Sequences from a table; given the noised tokens, each has an exact distribution.

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

    @classmethod
    def tau(cls) -> AnalyticTokens:
        """A glyph in the manner of Campbell et al. (2022): row and column of a pixel of a tau.

        Uniform on the pixels of a picture of 32 by 32, two ordered tokens of 32 symbols.

        >>> AnalyticTokens.tau().data.sample(2, seed=0).shape
        torch.Size([2, 2])
        """
        pixels = torch.zeros(32, 32, dtype=torch.float64)
        pixels[8:12, 5:27] = 1.0
        pixels[10:14, 4:7] = 1.0
        pixels[12:25, 14:18] = 1.0
        pixels[23:26, 16:22] = 1.0
        return cls(Table(pixels / pixels.sum()))

    @classmethod
    def markov(cls, transition: Tensor, sites: int) -> AnalyticTokens:
        """A stationary Markov chain with a transition matrix `(K, K)`, row from and column to.

        >>> chain = AnalyticTokens.markov(torch.tensor([[0.9, 0.1], [0.3, 0.7]]), 2)
        >>> chain.data.probabilities
        tensor([[0.6750, 0.0750],
                [0.0750, 0.1750]])
        """
        law = torch.linalg.matrix_power(transition.double(), 1 << 20)[0]
        for _ in range(sites - 1):
            law = law.unsqueeze(-1) * transition.double()
        return cls(Table((law / law.sum()).to(transition.dtype)))

    def model(self, process: Masking | Jumps) -> Model:
        """Log-probabilities of every token at every site given the noised ones, by enumeration."""
        states = self.data.states()
        weights = self.data.probabilities.flatten()
        symbols = functional.one_hot(states, self.data.vocabulary).to(weights)
        place = torch.arange(self.data.sites)

        every = _sequences(_symbols(process), self.data.sites)
        digits = _symbols(process) ** place.flip(0)

        def logits(x_t: Tensor, t: Time, c: Any = None) -> Tensor:
            if torch.as_tensor(t).ndim == 0 and len(every) < len(x_t):
                # Many are the same.
                return logits(every, t)[x_t @ digits]
            seen = likelihood_of_tokens(process, x_t, t).to(weights)
            posterior = seen[:, place, states].prod(-1) * weights
            posterior = posterior / posterior.sum(-1, keepdim=True)
            return torch.einsum("bs,snk->bnk", posterior, symbols).log()

        return logits

    def noised(self, process: Masking | Jumps, t: float) -> Table:
        """The distribution of the noised sequences, the mask a symbol of its own where there is
        one."""
        law = self.data.probabilities
        for axis, forward in enumerate(_forward(process, t, self.data.sites).to(law)):
            law = torch.tensordot(law, forward, dims=([axis], [0])).movedim(-1, axis)
        return Table(law)

    def bound(self, process: Masking | Jumps, model: Model, start: float, stop: float) -> float:
        """The mean negative evidence bound of a model in nats, by quadrature over the time.

        What the prior costs at `start`, the integral of the loss from there to `stop`, and what the
        data cost at once from there (`protocols.Evidenced`): nothing is left out. With the exact
        model it is the entropy of the data, but for the steps over both ends.
        """
        states, p = self.data.states(), self.data.probabilities.flatten()
        found = float(p @ process.prior_cost(states, start).to(p))
        z, x_t, chance = self._joint(process, stop)
        found += float(chance @ process.data_cost(model(x_t, stop), z, x_t, stop).to(chance))
        for t, weight in _nodes(stop, start):
            z, x_t, chance = self._joint(process, t)
            rate = process.cost_rate(model(x_t, t), z, x_t, t)
            found += weight * float(chance @ rate.to(chance))
        return found

    def _joint(self, process: Masking | Jumps, t: float) -> tuple[Tensor, Tensor, Tensor]:
        """All pairs of data and noised sequences, and their chances."""
        states, p = self.data.states(), self.data.probabilities.flatten()
        forward = _forward(process, t, self.data.sites).to(p)
        noisy = _sequences(forward.shape[-1], self.data.sites)
        place = torch.arange(self.data.sites)
        chance = forward[place, states.unsqueeze(1), noisy].prod(-1) * p.unsqueeze(1)
        first, second = chance.nonzero(as_tuple=True)
        return states[first], noisy[second], chance[first, second]


def likelihood_of_tokens(process: Masking | Jumps, x_t: Tensor, t: Time) -> Tensor:
    """The chance of each noised token from every symbol, up to a factor, `(B, sites, K)`."""
    if isinstance(process, Jumps):
        return process.chain.column(x_t, process.schedule.values(t)[0])
    same = functional.one_hot(x_t, process.space.vocabulary + 1)[..., :-1].bool()
    return same | (x_t == process.space.mask).unsqueeze(-1)


def _forward(process: Masking | Jumps, t: float, sites: int) -> Tensor:
    """The chance of every noised token from every symbol, at each site, `(sites, K, K)`.

    `(sites, K, K + 1)` with a mask.
    """
    left, same = float(process.schedule.at(t).alpha), torch.eye(process.space.vocabulary).double()
    if isinstance(process, Jumps):
        each = same.unsqueeze(1).expand(-1, sites, -1)
        return process.chain.push(each, left).transpose(0, 1)
    hidden = torch.full_like(same[:, :1], 1 - left)
    return torch.cat([left * same, hidden], 1).expand(sites, -1, -1)


def _symbols(process: Masking | Jumps) -> int:
    """How many there are with the mask."""
    return process.space.vocabulary + isinstance(process, Masking)


def _sequences(symbols: int, sites: int) -> Tensor:
    """Every sequence, `(symbols^sites, sites)`."""
    found = torch.cartesian_prod(*[torch.arange(symbols)] * sites)
    return found.reshape(-1, sites)


def _nodes(start: float, stop: float) -> list[tuple[float, float]]:
    """Nodes and weights of an integral whose integrand changes fast near both ends of the time."""
    u, w = np.polynomial.legendre.leggauss(_NODES)
    middle = 0.5 * (start + stop)
    near = np.geomspace(start, middle, _PANELS)
    # As fast towards the end of the noise as towards the data.
    far = stop - (middle - start) * np.geomspace(1.0, 1e-6, _PANELS)
    edges = [*near, *far[1:], stop]
    return [
        (0.5 * (a + b) + 0.5 * (b - a) * float(x), 0.5 * (b - a) * float(y))
        for a, b in pairwise(edges)
        for x, y in zip(u, w, strict=True)
    ]
