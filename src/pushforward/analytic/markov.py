"""A Markov source of symbols under masking, or under jumps: sequences of any length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward._random import drawn_from_logits, resolve
from pushforward.analytic.tokens import likelihood_of_tokens
from pushforward.errors import InputError
from pushforward.processes import Jumps, Masking
from pushforward.protocols import Model, Time

__all__ = ["AnalyticMarkov"]


@dataclass(frozen=True)
class AnalyticMarkov:
    """A stationary Markov chain of symbols, whose posterior is exact by forward and backward sums.

    Args:
        transition: probabilities `(K, K)`, row from and column to.
        sites: the length of a sequence.

    Raises `InputError` for rows that are no probabilities, and for a chain that does not come to
    one distribution.

    >>> source = AnalyticMarkov(torch.tensor([[0.9, 0.1], [0.3, 0.7]]).double(), 3)
    >>> source.first
    tensor([0.7500, 0.2500], dtype=torch.float64)
    >>> round(source.entropy_rate, 4)  # in nats
    0.3965
    """

    transition: Tensor
    sites: int

    def __post_init__(self) -> None:
        rows = self.transition.double()
        if not bool((rows >= 0).all()) or float((rows.sum(1) - 1).abs().max()) > 1e-6:
            raise InputError("rows of a transition matrix are not negative and sum to one")
        limit = torch.linalg.matrix_power(rows / rows.sum(1, keepdim=True), 1 << 20)
        if float((limit - limit[0]).abs().max()) > 1e-6:
            raise InputError(
                "the chain has no one stationary distribution that it comes to from all symbols: "
                "some never reach others, or it goes round in a cycle"
            )

    @property
    def first(self) -> Tensor:
        """The stationary distribution, `(K,)`."""
        row = torch.linalg.matrix_power(self.transition.double(), 1 << 20)[0]
        return row / row.sum()

    @property
    def entropy_rate(self) -> float:
        """The entropy of a symbol given the one before, in nats."""
        p = self.transition.double()
        return -float(self.first @ torch.xlogy(p, p).sum(1))

    @property
    def entropy(self) -> float:
        """Of a sequence, in nats."""
        first = self.first
        start = -float(torch.xlogy(first, first).sum())
        return start + (self.sites - 1) * self.entropy_rate

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """`n` sequences, `(n, sites)`."""
        generator = resolve(seed, generator, rows=n)
        logs = self.transition.double().log()
        x = [drawn_from_logits(self.first.log().expand(n, -1), generator)]
        for _ in range(self.sites - 1):
            x.append(drawn_from_logits(logs[x[-1]], generator))
        return torch.stack(x, 1)

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-probability of each sequence, `(n,)`."""
        logs = self.transition.double().log()
        return self.first.log()[x[:, 0]] + logs[x[:, :-1], x[:, 1:]].sum(1)

    def model(self, process: Masking | Jumps) -> Model:
        """Log-probabilities of every token given the noised ones, `(B, sites, K)`."""
        step, first = self.transition.double(), self.first

        def logits(x_t: Tensor, t: Time, c: Any = None) -> Tensor:
            seen = likelihood_of_tokens(process, x_t, t).double()
            ahead, behind = [_unit(first * seen[:, 0])], [torch.ones_like(seen[:, 0])]
            for k in range(1, self.sites):
                ahead.append(_unit((ahead[-1] @ step) * seen[:, k]))
                behind.append(_unit((behind[-1] * seen[:, self.sites - k]) @ step.mT))
            both = torch.stack(ahead, 1) * torch.stack(behind[::-1], 1)
            return _unit(both).log()

        return logits


def _unit(weights: Tensor) -> Tensor:
    return weights / weights.sum(-1, keepdim=True)
