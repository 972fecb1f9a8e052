"""Showers that grow, move with the wind and fade: frames for forecasts to learn from in minutes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward import checks
from pushforward._random import resolve

__all__ = ["Showers"]

_SPINUP = 100
"""Frames before the first one, after which no shower is as old as the simulation."""


@dataclass(frozen=True)
class Showers:
    r"""Rain on a periodic square, from showers that are born, move and fade.

    Showers are born by a Poisson process and last for a time with an exponential distribution, over
    which their rate is `peak sin^2(pi age / lifetime)`. They are Gaussian in space and move with a
    wind that they share, an Ornstein-Uhlenbeck process about a mean, and with a drift of their own.
    Rain is the sum of their rates less a threshold, and zero where that is negative: most cells are
    dry. The future is open: what is born next, and how the wind turns, no past tells.

    Args:
        n: cells a side.
        wind: the mean wind along the two axes, in cells a frame.
        gusts: the standard deviation of the wind about it.
        persistence: of the wind, in frames.
        births: of showers in a frame, for each cell.
        lifetime: of a shower, in frames, on average.
        radius: of a shower, in cells.
        peak: of its rate, in mm/h, on average.
        threshold: below which there is no rain, in mm/h.

    Raises `InputError` for numbers out of range.

    >>> rain = Showers(16).frames(5, seed=0)
    >>> rain.shape, bool((rain >= 0).all())
    (torch.Size([5, 16, 16]), True)
    """

    n: int = 32
    wind: tuple[float, float] = (0.4, 0.8)
    gusts: float = 0.4
    persistence: float = 40.0
    births: float = 4e-4
    lifetime: float = 16.0
    radius: float = 2.0
    peak: float = 6.0
    threshold: float = 0.5

    def __post_init__(self) -> None:
        checks.whole("n", self.n, least=4)
        for name in ("persistence", "births", "lifetime", "radius", "peak"):
            checks.positive(name, getattr(self, name))
        for name in ("gusts", "threshold"):
            checks.number(name, getattr(self, name), least=0)

    def frames(self, count: int, *, seed: int = 0, generator: Any = None) -> Tensor:
        """Rates of rain in mm/h, `(count, n, n)` in float32; one seed, one film."""
        checks.whole("count", count)
        g = resolve(seed if generator is None else None, generator)
        mean = torch.tensor(self.wind, dtype=torch.float64)
        keep = math.exp(-1 / self.persistence)
        wind = mean + self.gusts * torch.randn(2, generator=g, dtype=torch.float64)
        # Place, own drift, age, lifetime, peak, radius.
        showers = torch.zeros(0, 8, dtype=torch.float64)
        found = []
        for step in range(_SPINUP + count):
            born = int(torch.poisson(torch.tensor(self.births * self.n**2), generator=g))
            showers = torch.cat([showers, self._born(born, g)])
            if step >= _SPINUP:
                found.append(self._rain(showers))
            gust = self.gusts * math.sqrt(1 - keep**2)
            wind = mean + keep * (wind - mean)
            wind = wind + gust * torch.randn(2, generator=g, dtype=torch.float64)
            showers[:, :2] = (showers[:, :2] + wind + showers[:, 2:4]) % self.n
            showers[:, 4] += 1
            showers = showers[showers[:, 4] < showers[:, 5]]
        return torch.stack(found).float()

    def _born(self, count: int, g: torch.Generator) -> Tensor:
        uniform = torch.rand(count, 5, generator=g, dtype=torch.float64)
        drift = 0.1 * torch.randn(count, 2, generator=g, dtype=torch.float64)
        life = 2 - self.lifetime * torch.log1p(-uniform[:, 2])
        peak = -self.peak * torch.log1p(-uniform[:, 3])
        radius = self.radius * (0.6 + 0.8 * uniform[:, 4])
        age = torch.zeros_like(life)
        parts = [age, life, peak, radius]
        return torch.cat([self.n * uniform[:, :2], drift, torch.stack(parts, 1)], 1)

    def _rain(self, showers: Tensor) -> Tensor:
        cells = torch.arange(self.n, dtype=torch.float64)
        age, life, peak, radius = showers[:, 4:].unbind(1)
        along = []
        for axis in (0, 1):
            away = (cells - showers[:, axis, None]).abs()
            away = torch.minimum(away, self.n - away)
            along.append(torch.exp(-0.5 * (away / radius[:, None]) ** 2))
        rate = peak * torch.sin(math.pi * age / life).square()
        total = torch.einsum("k,ki,kj->ij", rate, *along)
        return (total - self.threshold).clamp(min=0)
