"""Normal targets, on which everything is known."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.learned_samplers import Density
from pushforward.nn import SteeredMLP
from pushforward.targets import Target

LOG_Z = 1.7
"""Of the normal targets, whose density is not normalized."""


def normal_density(mean: Tensor, std: float, *, scale: float = 1.0, shift: float = 0.0) -> Density:
    """`exp(1.7) N(mean, std^2)`, in coordinates `u` with `x = shift + scale u`."""
    dim = len(mean)
    constant = LOG_Z - dim * (math.log(std) + 0.5 * math.log(2 * math.pi))

    def log_prob(x: Tensor) -> Tensor:
        return constant - 0.5 * ((x - mean.to(x)) / std).square().sum(-1)

    def sample(n: int, *, seed: int | None = None, generator: Any = None) -> Tensor:
        return mean + std * torch.randn(n, dim, generator=generator, dtype=mean.dtype)

    center = torch.full((dim,), shift, dtype=mean.dtype)
    return Density(
        Target(log_prob, dim, sample=sample), center, scale * torch.eye(dim, dtype=mean.dtype)
    )


def wild(dim: int, seed: int = 0) -> Any:
    """Makes networks with weights that nobody has trained, far from zero."""

    def made() -> nn.Module:
        noise = torch.Generator().manual_seed(seed)
        net = SteeredMLP(dim, width=8, depth=1).double()
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=noise))
        return net

    return made


class Constant(nn.Module):
    """A control that is known: a function of the time."""

    def __init__(self, control: Any) -> None:
        super().__init__()
        self.control = control
        self.place = nn.Parameter(torch.zeros((), dtype=torch.float64))

    def forward(self, x: Tensor, t: Tensor, feature: Tensor) -> Tensor:
        return self.control(x, t)
