"""A von Mises-Fisher distribution on the 2-sphere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward.distributions import VonMisesFisher
from pushforward.errors import InputError
from pushforward.processes import Brownian, Geodesic
from pushforward.protocols import Model, Time
from pushforward.spaces import Sphere
from pushforward.spaces._sphere_heat import harmonics

__all__ = ["AnalyticSphere"]

_TERMS = 96
_LARGEST = 100


@dataclass(frozen=True)
class AnalyticSphere:
    """Unit vectors of R^3 from a von Mises-Fisher distribution.

    Brownian motion damps the Legendre coefficients of its density one by one, so the score is a
    series; the mean geodesic velocity is an integral over a tangent plane. Raises `InputError` for
    a concentration above 100, which the series would not resolve.

    >>> problem = AnalyticSphere(VonMisesFisher(torch.tensor([0.0, 0.0, 1.0]), 4.0))
    >>> problem.coefficients()[:2]
    tensor([1.0000, 0.7507], dtype=torch.float64)
    """

    data: VonMisesFisher

    def __post_init__(self) -> None:
        if self.data.concentration > _LARGEST:
            raise InputError(
                f"concentration {self.data.concentration:g}: {_TERMS} Legendre terms are exact up "
                f"to {_LARGEST}"
            )

    def coefficients(self) -> Tensor:
        """`E P_l(<mean, x>)` for `l < 96`, by Gauss-Legendre quadrature on the height."""
        nodes, weights = _gauss_legendre(256)
        kappa = self.data.concentration
        density = weights * torch.exp(kappa * (nodes - 1))
        p, _ = harmonics(nodes, _TERMS)
        return (density / density.sum()) @ p

    def mean_projection(self, process: Brownian, t: float) -> float:
        """`E <mean, x_t>` under Brownian motion: the first coefficient, damped."""
        _, sigma = process.schedule.values(t)
        return self.data.mean_projection * math.exp(-(float(sigma) ** 2))

    def model(self, process: Brownian) -> Model:
        """The score of the noised distribution at time `t`."""
        degree = torch.arange(_TERMS, dtype=torch.float64)
        base = (2 * degree + 1) * self.coefficients()

        def score(x_t: Tensor, t: Time, c: Any = None) -> Tensor:
            _, sigma = process.schedule.values(t)
            variance = torch.as_tensor(sigma, dtype=torch.float64).square().unsqueeze(-1)
            modes = base * torch.exp(-0.5 * degree * (degree + 1) * variance)
            mean = self.data.mean.to(x_t)
            p, dp = harmonics((x_t @ mean).double(), _TERMS)
            slope = (modes * dp).sum(-1) / (modes * p).sum(-1)
            pull = Sphere().project(x_t, mean.expand_as(x_t))
            return slope.unsqueeze(-1).to(x_t.dtype) * pull

        return score

    def geodesic_model(self, process: Geodesic) -> Model:
        r"""The mean velocity towards an independent uniform endpoint.

        Geodesic flow keeps the volume of phase space, so given `x_t` the velocity `w` of the whole
        geodesic has a density proportional to that of the data at `exp_x(-(1 - alpha) w)`, times
        `sin|w| / |w|` from the uniform endpoint. The integral is a product rule in angle and
        direction.
        """
        nodes, weights = _gauss_legendre(48)
        length = 0.5 * math.pi * (nodes + 1)
        turns = torch.arange(48, dtype=torch.float64) * (2 * math.pi / 48)
        compass = torch.stack([turns.cos(), turns.sin()], -1)
        measure = (weights * torch.sin(length)).unsqueeze(-1)

        def velocity(x_t: Tensor, t: Time, c: Any = None) -> Tensor:
            k = process.schedule.at(t)
            x = x_t.double()
            frame = _tangent_frame(x)
            directions = compass @ frame
            alpha, speed = (
                torch.as_tensor(v).double().reshape(-1, 1) for v in (k.alpha, -k.d_alpha)
            )
            back = ((1 - alpha) * length)[..., None, None]
            start = torch.cos(back) * x[:, None, None] - torch.sin(back) * directions[:, None]
            height = start @ self.data.mean.double()
            density = torch.exp(self.data.concentration * (height - 1)) * measure
            mean = torch.einsum("bld,l,bdi->bi", density, length, directions)
            mean = mean / density.sum((1, 2)).unsqueeze(-1)
            return (speed * mean).to(x_t.dtype)

        return velocity


def _gauss_legendre(n: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights on [-1, 1] (Golub & Welsch 1969)."""
    k = torch.arange(1, n, dtype=torch.float64)
    off = k / torch.sqrt(4 * k.square() - 1)
    nodes, vectors = torch.linalg.eigh(torch.diag(off, 1) + torch.diag(off, -1))
    return nodes, 2 * vectors[0].square()


def _tangent_frame(x: Tensor) -> Tensor:
    """Two orthonormal tangent vectors at each unit vector, `(B, 2, 3)`."""
    # The coordinate axis least aligned with x never degenerates.
    axis = torch.nn.functional.one_hot(x.abs().argmin(-1), 3).to(x)
    first = torch.linalg.cross(x, axis)
    first = first / first.norm(dim=-1, keepdim=True)
    return torch.stack([first, torch.linalg.cross(x, first)], 1)
