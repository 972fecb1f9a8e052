"""A wrapped normal on the circle."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward.distributions import WrappedNormal
from pushforward.processes import Brownian, Geodesic
from pushforward.protocols import Model, Time
from pushforward.spaces.torus import windings

__all__ = ["AnalyticCircle"]


@dataclass(frozen=True)
class AnalyticCircle:
    """One angle from a wrapped normal distribution.

    >>> AnalyticCircle(WrappedNormal(0.5, 0.4)).data.sample(3, seed=0).shape
    torch.Size([3, 1])
    """

    data: WrappedNormal

    def noised(self, process: Brownian, t: float) -> WrappedNormal:
        """The exact distribution `p_t` under Brownian motion."""
        _, sigma = process.schedule.values(t)
        return WrappedNormal(self.data.mean, math.hypot(self.data.std, float(sigma)))

    def model(self, process: Brownian) -> Model:
        """The score of the wrapped normal at time `t`."""

        def score(x_t: Tensor, t: Time, c: Any = None) -> Tensor:
            _, sigma = process.schedule.values(t)
            sigma = torch.as_tensor(sigma).to(x_t)
            variance = (sigma.square() + self.data.std**2).expand(len(x_t))
            start = torch.full_like(x_t, float(self.data.mean))
            return process.space.heat_score(x_t, start, variance)

        return score

    def geodesic_model(self, process: Geodesic) -> Model:
        r"""The mean velocity towards an independent uniform endpoint.

        The turn `w` from data to endpoint is uniform on (-pi, pi) and independent of the data, so
        given `x_t = x_0 + (1 - alpha) w` its density is uniform times the density of the data at
        `x_t - (1 - alpha) w`: a mixture of truncated normals, one per winding.
        """

        def velocity(x_t: Tensor, t: Time, c: Any = None) -> Tensor:
            k = process.schedule.at(t)
            alpha, speed = (
                torch.as_tensor(v).double().reshape(-1, 1) for v in (k.alpha, -k.d_alpha)
            )
            travelled = (1 - alpha).clamp_min(1e-12).unsqueeze(-1)
            x = x_t.double().unsqueeze(-1)
            centers = (x - self.data.mean + windings(self.data.std + math.pi).double()) / travelled
            scale = self.data.std / travelled
            low, high = (-math.pi - centers) / scale, (math.pi - centers) / scale
            mass = torch.special.ndtr(high) - torch.special.ndtr(low)
            bump = torch.exp(-0.5 * low.square()) - torch.exp(-0.5 * high.square())
            first = centers * mass + scale * bump / math.sqrt(2 * math.pi)
            turn = first.sum(-1) / mass.sum(-1)
            return (speed * turn).to(x_t.dtype)

        return velocity
