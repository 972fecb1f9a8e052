"""Several processes on one clock: states, predictions and dynamics as tuples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.config import configurable
from pushforward.dynamics import Parallel
from pushforward.protocols import Time

__all__ = ["Product"]


@configurable
@dataclass(frozen=True)
class Product:
    """Processes that run side by side, such as positions and angles; coupled by the model alone.

    >>> from pushforward.processes import Brownian, Gaussian
    >>> from pushforward.spaces import Torus
    >>> process = Product((Gaussian(), Brownian(Torus())))
    >>> x, angle = process.sample((torch.zeros(2, 3), torch.zeros(2, 1)), 0.5)
    >>> x.shape, angle.shape
    (torch.Size([2, 3]), torch.Size([2, 1]))
    """

    factors: tuple[Any, ...]

    def prior(self, shape: tuple[tuple[int, ...], ...]) -> Any:
        """Independent priors, one shape per factor."""
        return _Independent(
            tuple(p.prior(part) for p, part in zip(self.factors, shape, strict=True))
        )

    def sample(
        self, z: tuple[Any, ...], t: Time, generator: torch.Generator | None = None
    ) -> tuple[Any, ...]:
        """Each factor noised on its own."""
        return tuple(p.sample(part, t, generator) for p, part in zip(self.factors, z, strict=True))

    def loss(
        self, pred: tuple[Any, ...], z: tuple[Any, ...], x_t: tuple[Any, ...], t: Time
    ) -> Tensor:
        """The sum of the factors' losses, `(B,)`."""
        losses = [p.loss(*parts, t) for p, *parts in zip(self.factors, pred, z, x_t, strict=True)]
        return torch.stack(losses).sum(0)

    def dynamics(self, pred: tuple[Any, ...], x_t: tuple[Any, ...], t: Time) -> Parallel:
        """The factors' dynamics side by side."""
        return Parallel(
            tuple(p.dynamics(*parts, t) for p, *parts in zip(self.factors, pred, x_t, strict=True))
        )

    def tabulate(self, grid: Sequence[float]) -> None:
        """Tabulate every factor."""
        for process in self.factors:
            process.tabulate(grid)


@dataclass(frozen=True)
class _Independent:
    """The product of the factors' priors."""

    factors: tuple[Any, ...]

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> tuple[Any, ...]:
        generator = resolve(seed, generator, rows=n)
        return tuple(law.sample(n, generator=generator) for law in self.factors)

    def log_prob(self, x: tuple[Any, ...]) -> Tensor:
        logs = [law.log_prob(part) for law, part in zip(self.factors, x, strict=True)]
        return torch.stack(logs).sum(0)
