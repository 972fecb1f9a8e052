"""SDEs with a linear drift, whose laws are normal with moments in closed form."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["Affine", "Exchangeable", "covariance", "harmonic_drift", "harmonic_moments", "rates"]


def covariance(a: Tensor, d: Tensor, start: Tensor, t: float) -> Tensor:
    """Of `dX = A X dt + sqrt(2 D) dW`, by the exponential of the Lyapunov operator."""
    n = len(a)
    eye = torch.eye(n, dtype=a.dtype)
    operator = torch.kron(a, eye) + torch.kron(eye, a)
    whole = torch.zeros(n * n + 1, n * n + 1, dtype=a.dtype)
    whole[:-1, :-1], whole[:-1, -1] = operator, 2 * d.flatten()
    moved = torch.linalg.matrix_exp(t * whole)
    return (moved[:-1, :-1] @ start.flatten() + moved[:-1, -1]).reshape(n, n)


def rates(a: Tensor, d: Tensor, c: Tensor) -> tuple[float, float]:
    """The rate of the entropy and its production, at the covariance `C`."""
    flow = a + d @ torch.linalg.inv(c)
    production = torch.trace(flow @ c @ flow.T @ torch.linalg.pinv(d))
    return float(torch.trace(flow)), float(production)


class Affine(nn.Module):
    """An affine map: the exact family of these scores."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.map = nn.Linear(size, size)
        with torch.no_grad():
            self.map.weight.copy_(-torch.eye(size))
            self.map.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        return self.map(x)


class Exchangeable(nn.Module):
    """`a x_i + b mean_j x_j + c` of particles."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.own = nn.Parameter(torch.tensor(-1.0))
        self.mean = nn.Parameter(torch.tensor(0.0))
        self.bias = nn.Parameter(torch.zeros(dimension))

    def forward(self, x: Tensor) -> Tensor:
        return self.own * x + self.mean * x.mean(1, keepdim=True) + self.bias


def harmonic_drift(x: Tensor, t: float) -> Tensor:
    """Particles in a moving trap that repel each other, `mu_t - x_i / 2 - mean_j x_j / 2`."""
    angle = math.pi**2 * t
    trap = x.new_tensor([2 * math.cos(angle), 2 * math.sin(angle)])
    return trap - x / 2 - x.mean(1, keepdim=True) / 2


def harmonic_moments(t: float, d: float, start: float) -> tuple[float, float]:
    """Variances of the differences of particles, and of their mean times its number of them."""
    relative = math.exp(-t) * start + 2 * d * (1 - math.exp(-t))
    center = math.exp(-2 * t) * start + d * (1 - math.exp(-2 * t))
    return relative, center
