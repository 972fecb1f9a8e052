r"""Noise on the sphere of trace class, by spherical harmonics."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward import checks
from pushforward._legendre import legendre
from pushforward.config import configurable
from pushforward.spaces.function_noise import NoiseRoot
from pushforward.spaces.trigonometric import from_modes, to_modes

__all__ = ["SphericalMatern", "SphericalRoot"]

_JITTER = 1e-6
"""Of the covariance, on the diagonal, in units of the variance."""


@configurable
@dataclass(frozen=True)
class SphericalMatern:
    r"""Noise on the sphere, `sum_lm sqrt(lambda_l) xi_lm Y_lm`, the same in all directions.

    With `lambda_l ~ (1/length^2 + l (l + 1))^-(nu + 1)`: the Matern fields of the sphere (Lindgren,
    Rue & Lindström 2011; Borovitskiy et al. 2020), of trace class for `nu > 0`. On every grid they
    are values of the same random function, of the degrees below `degrees`.

    Args:
        nu: how smooth; 1/2 by default.
        length: in radians.
        variance: at each point.
        degrees: of the harmonics.

    >>> noise = SphericalMatern(length=0.5)
    >>> weights = 2 * torch.arange(noise.degrees) + 1
    >>> round(float((weights * noise.spectrum()).sum()) / (4 * math.pi), 6)
    1.0
    """

    nu: float = 0.5
    length: float = 0.3
    variance: float = 1.0
    degrees: int = 256

    def __post_init__(self) -> None:
        checks.positive("nu", self.nu)
        checks.positive("length", self.length)
        checks.positive("variance", self.variance)
        checks.whole("degrees", self.degrees, least=2)

    def spectrum(self) -> Tensor:
        """`lambda_l` in float64, whose sum over all harmonics is 4 pi times the variance."""
        degree = torch.arange(self.degrees, dtype=torch.float64)
        plain = (self.length**-2 + degree * (degree + 1)) ** -(self.nu + 1)
        total = ((2 * degree + 1) * plain).sum() / (4 * math.pi)
        return self.variance * plain / total

    def root(self, x: Tensor, columns: int) -> SphericalRoot:
        """The root on rows at the sines of latitude `x`, each of so many equal steps around."""
        shapes, spectrum = legendre(x, self.degrees), self.spectrum()
        found = x.new_zeros(columns, len(x), len(x), dtype=torch.float64)
        for m in range(self.degrees):
            own = shapes[m:, m] * spectrum[m:, None].sqrt()
            block = columns / (2 * math.pi) * own.mT @ own
            # Waves that the row cannot tell apart fall together.
            for wave in {m % columns} if m == 0 else (m % columns, -m % columns):
                found[wave] += block
        found += self.variance * _JITTER * torch.eye(len(x), dtype=torch.float64)
        return SphericalRoot(torch.linalg.cholesky(found))


class SphericalRoot(NoiseRoot):
    """The root on a grid of latitudes and longitudes: a matrix of rows for each wave around.

    Args:
        factors: of the covariances of rows, `(columns, rows, rows)`.
    """

    def __init__(self, factors: Tensor) -> None:
        self.factors = factors

    def color(self, white: Tensor) -> Tensor:
        """See `NoiseRoot`."""
        return from_modes(self._times(self.factors.to(white), white), (True,))

    def whiten(self, x: Tensor) -> Tensor:
        """See `NoiseRoot`."""
        modes = to_modes(x.double(), (True,)).movedim(-1, -2).unsqueeze(-1)
        factors = self.factors.to(x.device)
        found = torch.linalg.solve_triangular(factors, modes, upper=False)
        return found.squeeze(-1).movedim(-1, -2).to(x.dtype)

    def transpose(self, x: Tensor) -> Tensor:
        """See `NoiseRoot`."""
        return self._times(self.factors.to(x).mT, to_modes(x, (True,)))

    @property
    def log_det(self) -> float:
        """See `NoiseRoot`."""
        return float(self.factors.diagonal(dim1=1, dim2=2).log().sum())

    def _times(self, matrices: Tensor, x: Tensor) -> Tensor:
        return torch.einsum("mij,...jm->...im", matrices, x)
