"""Random functions whose conditional distributions are known: for regression by a learned model.

Each draws `(N, n)` values at points `(N, n, 1)` of [-2, 2] with noise of deviation 0.05, has the
exact log-density of values given the first `m`, and draws from that conditional distribution.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from pushforward.spaces import kernels

NOISE = 0.05
Kernel = Callable[[Tensor], Tensor]


class World(Protocol):
    """A distribution of functions."""

    def draw(self, points: Tensor, generator: torch.Generator) -> Tensor:
        """Values with noise at points `(N, n, 1)`, `(N, n)`."""

    def log_prob(self, points: Tensor, y: Tensor, m: int) -> float:
        """The log-density of the values after the first `m` given these, at points `(n, 1)`."""

    def conditional(self, points: Tensor, y: Tensor, m: int, n: int, generator: torch.Generator
                    ) -> Tensor:  # fmt: skip
        """`n` draws of the values after the first `m` given these."""


@dataclass(frozen=True)
class Processes:
    """A Gaussian process, or one of several by equal chance."""

    kernels: Sequence[Kernel]

    def draw(self, points: Tensor, generator: torch.Generator) -> Tensor:
        """See `World`."""
        which = torch.randint(len(self.kernels), (len(points),), generator=generator)
        white = torch.randn(points.shape[:2], dtype=torch.float64, generator=generator)
        found = torch.empty_like(white)
        for k, kernel in enumerate(self.kernels):
            rows = which == k
            factor = torch.linalg.cholesky(_covariance(kernel, points[rows]))
            found[rows] = (factor @ white[rows].unsqueeze(-1)).squeeze(-1)
        return found

    def log_prob(self, points: Tensor, y: Tensor, m: int) -> float:
        """See `World`."""
        return float(self._evidence(points, y).logsumexp(0)) - float(
            self._evidence(points[:m], y[:m]).logsumexp(0)
        )

    def conditional(
        self, points: Tensor, y: Tensor, m: int, n: int, generator: torch.Generator
    ) -> Tensor:
        """See `World`."""
        chances = self._evidence(points[:m], y[:m]).softmax(0)
        which = torch.multinomial(chances, n, replacement=True, generator=generator)
        found = torch.empty(n, len(y) - m, dtype=torch.float64)
        for k, kernel in enumerate(self.kernels):
            mean, spread = regressed(_covariance(kernel, points), y, m)
            factor = torch.linalg.cholesky(spread)
            white = torch.randn(found.shape, dtype=torch.float64, generator=generator)
            found[which == k] = (mean + white @ factor.mT)[which == k]
        return found

    def _evidence(self, points: Tensor, y: Tensor) -> Tensor:
        laws = [
            MultivariateNormal(torch.zeros_like(y), _covariance(kernel, points))
            for kernel in self.kernels
        ]
        return torch.stack([law.log_prob(y) for law in laws])


@dataclass(frozen=True)
class Sawtooth:
    """`2 frac(f x + phase) - 1` with frequency uniform on [0.5, 1.5] and phase on [0, 1].

    Conditionals by quadrature on `cells` midpoints of each.
    """

    cells: int = 800

    def draw(self, points: Tensor, generator: torch.Generator) -> Tensor:
        """See `World`."""
        rate, phase = torch.rand(2, len(points), 1, dtype=torch.float64, generator=generator)
        white = torch.randn(points.shape[:2], dtype=torch.float64, generator=generator)
        return _teeth(points[..., 0], 0.5 + rate, phase) + NOISE * white

    def log_prob(self, points: Tensor, y: Tensor, m: int) -> float:
        """See `World`."""
        whole, first = (self._evidence(points[:k], y[:k]) for k in (len(y), m))
        return float(whole.logsumexp(0)) - float(first.logsumexp(0))

    def conditional(
        self, points: Tensor, y: Tensor, m: int, n: int, generator: torch.Generator
    ) -> Tensor:
        """See `World`."""
        chances = self._evidence(points[:m], y[:m]).softmax(0)
        # More cells than `torch.multinomial` takes.
        u = torch.rand(n, dtype=torch.float64, generator=generator)
        which = torch.searchsorted(chances.cumsum(0), u).clamp(max=len(chances) - 1)
        rate, phase = (v[which, None] for v in self._grid())
        white = torch.randn(n, len(y) - m, dtype=torch.float64, generator=generator)
        return _teeth(points[m:, 0], rate, phase) + NOISE * white

    def _grid(self) -> tuple[Tensor, Tensor]:
        each = (torch.arange(self.cells, dtype=torch.float64) + 0.5) / self.cells
        rate, phase = torch.meshgrid(0.5 + each, each, indexing="ij")
        return rate.flatten(), phase.flatten()

    def _evidence(self, points: Tensor, y: Tensor) -> Tensor:
        rate, phase = self._grid()
        found = torch.zeros_like(rate)
        for place, value in zip(points[:, 0], y, strict=True):
            found -= 0.5 * ((value - _teeth(place, rate, phase)) / NOISE).square()
        return found - len(y) * math.log(NOISE * math.sqrt(2 * math.pi))


def regressed(covariance: Tensor, y: Tensor, m: int) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the values after the first `m` given these."""
    solved = torch.linalg.solve(covariance[:m, :m], covariance[:m, m:])
    return solved.mT @ y[:m], covariance[m:, m:] - covariance[m:, :m] @ solved


def _covariance(kernel: Kernel, points: Tensor) -> Tensor:
    gaps = (points.unsqueeze(-2) - points.unsqueeze(-3)).square().sum(-1).sqrt()
    return kernel(gaps) + NOISE**2 * torch.eye(points.shape[-2], dtype=torch.float64)


def _teeth(x: Tensor, rate: Tensor, phase: Tensor) -> Tensor:
    return 2 * (rate * x + phase).remainder(1) - 1


WORLDS: dict[str, World] = {
    "squared exponential": Processes([kernels.SquaredExponential(0.25)]),
    "one of two lengths": Processes(
        [kernels.SquaredExponential(0.15), kernels.SquaredExponential(1.0)]
    ),
    "sawtooth": Sawtooth(),
}
