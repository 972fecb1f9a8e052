"""Mixtures of Dirichlet and of gamma distributions under the diffusions that forget towards one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward._draws import log_gamma_draw
from pushforward._random import categories, resolve
from pushforward._softmax import softmax
from pushforward.errors import InputError
from pushforward.processes import CoxIngersollRoss, WrightFisher
from pushforward.protocols import Model, Time

__all__ = ["AnalyticLineages"]


@dataclass(frozen=True)
class AnalyticLineages:
    r"""`sum_j w_j Dirichlet(a + n_j)` under `WrightFisher(a)`, or as many products of
    `Gamma(a + n_jk)` under `CoxIngersollRoss(a)`, with whole numbers `n_j`.

    Such mixtures stay such mixtures, for each time a finite one: whole numbers only shrink
    (Papaspiliopoulos & Ruggiero 2014). For Wright-Fisher `|n|` falls as the number of lineages
    does, from `k` at the rate `k (k - 1 + |a|) / 2`, and those that are lost are any of them; for
    Cox-Ingersoll-Ross each survives by itself, with the chance `alpha_t^2`. The relative score of a
    component is `n_k / x_k`, so that the prediction is a mean of numbers.

    Args:
        process: one of the two.
        counts: `n`, whole numbers `(J, K)`.
        weights: `w`, `(J,)`; equal by default.

    Raises `InputError` for numbers that are not whole.

    >>> process = WrightFisher(2.0)
    >>> world = AnalyticLineages(process, torch.tensor([[6, 0, 0], [0, 3, 3]]))
    >>> world.model()(world.sample(2, seed=0), 0.5).shape
    torch.Size([2, 3])
    """

    process: WrightFisher | CoxIngersollRoss
    counts: Tensor
    weights: Tensor | None = None

    def __post_init__(self) -> None:
        if (
            self.counts.ndim != 2
            or self.counts.is_floating_point()
            or bool((self.counts < 0).any())
        ):
            raise InputError("counts are whole numbers (J, K), none of them negative")

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """`n` draws of the data, in double precision."""
        generator = resolve(seed, generator, rows=n)
        which = categories(self._weights(), n, generator)
        logs = log_gamma_draw(self._concentration() + self.counts[which].double(), generator)
        return softmax(logs) if self._simplex else logs.exp()

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density of the data, `(B,)`."""
        return self._joint(x, self.counts.double(), self._weights().log()).logsumexp(-1)

    def noised_log_prob(self, x_t: Tensor, t: float) -> Tensor:
        """The log-density of the process at time `t`, `(B,)`."""
        return self._joint(x_t, *self.mixture(t)).logsumexp(-1)

    def model(self) -> Model:
        """The exact prediction."""

        def prediction(x_t: Tensor, t: Time, c: Any = None) -> Tensor:
            many = torch.as_tensor(t).reshape(-1)
            if len(many) == 1 or bool((many == many[0]).all()):
                return self._prediction(x_t, float(many[0]))
            found = torch.empty_like(x_t)
            for one in many.unique().tolist():
                found[many == one] = self._prediction(x_t[many == one], one)
            return found

        return prediction

    def mixture(self, t: float) -> tuple[Tensor, Tensor]:
        """The whole numbers of the components at a time, `(S, K)`, and their log-weights."""
        counts, logs = [], []
        for own, weight in zip(self.counts, self._weights(), strict=True):
            rest, log = self._survivors(own, t)
            counts.append(rest)
            logs.append(log + weight.log())
        return torch.cat(counts), torch.cat(logs)

    # -- inside ---------------------------------------------------------------------------------

    @property
    def _simplex(self) -> bool:
        return isinstance(self.process, WrightFisher)

    def _weights(self) -> Tensor:
        w = torch.ones(len(self.counts)) if self.weights is None else self.weights
        return w.double() / w.double().sum()

    def _concentration(self) -> Tensor:
        found = torch.as_tensor(self.process.concentration, dtype=torch.float64)
        return found.expand(self.counts.shape[1])

    def _prediction(self, x_t: Tensor, t: float) -> Tensor:
        counts, logs = self.mixture(t)
        x = x_t.double()
        mean = softmax(self._joint(x, counts, logs)) @ counts
        if self._simplex:
            mean = mean - mean.sum(-1, keepdim=True) * x
        return mean.to(x_t.dtype)

    def _survivors(self, n: Tensor, t: float) -> tuple[Tensor, Tensor]:
        """All smaller numbers, and the logarithms of their chances."""
        ranges = [torch.arange(int(k) + 1) for k in n]
        left = torch.cartesian_prod(*ranges).reshape(-1, len(n)).double()
        n = n.double()
        ways = (torch.lgamma(n + 1) - torch.lgamma(left + 1) - torch.lgamma(n - left + 1)).sum(-1)
        if isinstance(self.process, WrightFisher):
            total = n.sum()
            rest = left.sum(-1)
            both = torch.lgamma(total + 1) - torch.lgamma(rest + 1) - torch.lgamma(total - rest + 1)
            return left, ways - both + self._deaths(int(total), t)[rest.long()].log()
        alpha = torch.as_tensor(self.process.schedule.values(t)[0]).double()
        keep, lose = alpha.square(), 1 - alpha.square()
        return left, (ways + (left * keep.log() + torch.xlogy(n - left, lose)).sum(-1))

    def _deaths(self, total: int, t: float) -> Tensor:
        """The chances of `0, ..., total` lineages, from `total`."""
        assert isinstance(self.process, WrightFisher)
        k = torch.arange(total + 1, dtype=torch.float64)
        rates = 0.5 * k * (k - 1 + self._concentration().sum())
        generator = torch.diag(-rates) + torch.diag(rates[1:], -1)
        tau = float(self.process.elapsed(t, self._concentration().unsqueeze(0)))
        return torch.linalg.matrix_exp(tau * generator)[-1]

    def _joint(self, x: Tensor, counts: Tensor, logs: Tensor) -> Tensor:
        """Joint log-densities `(B, S)` of state and component."""
        y, a = x.double().clamp_min(1e-300), self._concentration() + counts
        power = y.log() @ (a - 1).mT - torch.lgamma(a).sum(-1) + logs
        if self._simplex:
            return power + torch.lgamma(a.sum(-1))
        return power - y.sum(-1, keepdim=True)
