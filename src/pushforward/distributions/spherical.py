"""The von Mises-Fisher distribution on the 2-sphere."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward._random import normal, resolve, uniform
from pushforward.checks import positive
from pushforward.errors import InputError

__all__ = ["VonMisesFisher"]


class VonMisesFisher:
    r"""Density proportional to `exp(concentration <mean, x>)` on unit vectors of R^3.

    Normalized by `concentration / (4 pi sinh(concentration))`; the projection on the mean has the
    expectation `coth(concentration) - 1 / concentration`.

    >>> distribution = VonMisesFisher(torch.tensor([0.0, 0.0, 1.0]), 5.0)
    >>> distribution.sample(2, seed=0).shape
    torch.Size([2, 3])
    """

    def __init__(self, mean: Tensor, concentration: float) -> None:
        if mean.shape != (3,) or abs(float(mean.norm()) - 1) > 1e-5:
            raise InputError(f"the mean direction is a unit vector of R^3, not {mean.tolist()}")
        self.mean, self.concentration = mean, positive("concentration", concentration)

    @property
    def mean_projection(self) -> float:
        """`E <mean, x>`."""
        return 1 / math.tanh(self.concentration) - 1 / self.concentration

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """`n` draws, `(n, 3)`: the height by inversion, the direction around it uniform."""
        generator = resolve(seed, generator, self.mean.device, rows=n)
        kappa, mean = self.concentration, self.mean
        u = uniform((n, 1), generator, dtype=torch.float64)
        height = 1 + torch.log(u + (1 - u) * math.exp(-2 * kappa)) / kappa
        noise = normal((n, 3), generator, dtype=torch.float64)
        axis = mean.double()
        around = noise - (noise @ axis)[:, None] * axis
        around = around / around.norm(dim=-1, keepdim=True)
        radius = (1 - height.square()).clamp_min(0).sqrt()
        return (height * axis + radius * around).to(mean.dtype)

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density per unit of area, `(B,)`."""
        kappa = self.concentration
        # log(sinh k) without overflow.
        log_sinh = kappa + math.log1p(-math.exp(-2 * kappa)) - math.log(2)
        return kappa * (x @ self.mean - 1) + kappa + math.log(kappa / (4 * math.pi)) - log_sinh
