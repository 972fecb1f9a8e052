"""Positive numbers whose logarithms are normal."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward._random import normal, resolve
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.transforms import Bijection

__all__ = ["PositiveNumbers", "LogNormal"]


@dataclass(frozen=True)
class PositiveNumbers:
    """`x = exp(shift + scale z)`, coordinate by coordinate, a bijection of `R^d` and `x > 0`."""

    shift: Tensor
    scale: Tensor

    def __call__(self, z: Tensor) -> Tensor:
        """Positive numbers."""
        return (self.shift.to(z) + self.scale.to(z) * z).exp()

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`z = (log x - shift) / scale` and `log |det dz/dx| = -sum_j log(scale_j x_j)`.

        Raises `InputError` for numbers that are not positive.
        """
        if not bool((x > 0).all()):
            bad = int((~(x > 0).all(-1)).sum())
            raise InputError(f"{bad} of {len(x)} rows hold numbers that are not positive")
        log_x = x.log()
        z = (log_x - self.shift.to(x)) / self.scale.to(x)
        return z, -(log_x + self.scale.to(x).log()).sum(-1)


@configurable
class LogNormal:
    """`log x ~ N(mean, std^2)` in each coordinate, independently.

    Args:
        mean, std: of the logarithms, `(d,)` or sequences of numbers.

    Raises `InputError` for vectors of different lengths, or deviations that are not positive.

    >>> prior = LogNormal([0.0], [1.0])
    >>> prior.log_prob(torch.tensor([[1.0], [-1.0]]))
    tensor([-0.9189,    -inf])
    """

    def __init__(self, mean: Tensor | list[float], std: Tensor | list[float]) -> None:
        self.mean, self.std = (torch.as_tensor(value).float() for value in (mean, std))
        if self.mean.ndim != 1 or self.mean.shape != self.std.shape or not len(self.mean):
            raise InputError(
                f"mean and std have one length, (d,), not {tuple(self.mean.shape)} and "
                f"{tuple(self.std.shape)}"
            )
        fine = bool(self.mean.isfinite().all()) and bool(self.std.isfinite().all())
        if not fine or not bool((self.std > 0).all()):
            raise InputError(f"std is positive and finite, not {self.std.tolist()}")

    @property
    def unconstrained(self) -> Bijection:
        """From vectors without bounds, standard normal ones, to positive numbers."""
        return PositiveNumbers(self.mean, self.std)

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """`n` draws, `(n, d)`."""
        generator = resolve(seed, generator, self.mean.device, rows=n)
        return self.unconstrained(normal((n, len(self.mean)), generator, device=self.mean.device))

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density, `(B,)`; `-inf` for numbers that are not positive."""
        inside = (x > 0).all(-1)
        z, log_det = self.unconstrained.inverse(torch.where(x > 0, x, 1.0))
        density = -0.5 * (z.square() + math.log(2 * math.pi)).sum(-1) + log_det
        return torch.where(inside, density, -math.inf)
