r"""The exact law of what a sampler draws, where it can be had: linear models, and one dimension.

A step of a sampler without memory moves a state to `N(m(x), s^2)`. Run without noise it shows `m`,
and with one unit of noise it shows `s`: nothing is drawn, and the sampler is the one that is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from pushforward.errors import CapabilityError, InputError
from pushforward.processes import Gaussian
from pushforward.protocols import Sampler, Transport
from pushforward.spaces import Euclidean

__all__ = ["density_of_samples", "moments_of_samples"]


def moments_of_samples(
    sampler: Sampler, transport: Transport, times: Sequence[float], dim: int
) -> tuple[Tensor, Tensor]:
    """Mean `(d,)` and covariance `(d, d)` of samples, for predictions that are linear in the state.

    From the prior of the process at the first time, in double precision.

    Raises `CapabilityError` for a model that is not linear and a sampler that remembers.

    >>> from pushforward import samplers, schedules
    >>> from pushforward.analytic import AnalyticMixture
    >>> from pushforward.distributions import GaussianMixture
    >>> process = Gaussian(schedules.OU())
    >>> data = GaussianMixture(torch.zeros(1, 1, dtype=torch.float64), 1.0)
    >>> transport = Transport(AnalyticMixture(data).model(process), process)
    >>> mean, cov = moments_of_samples(samplers.Ancestral(), transport, [1.0, 0.1, 0.01], 1)
    >>> bool(mean == 0), round(float(cov), 2)  # long steps have too little noise
    (True, 0.35)
    """
    eye = torch.eye(dim, dtype=torch.float64)
    probe = torch.linspace(-1.0, 2.0, dim, dtype=torch.float64)[None]
    states = torch.cat([0 * eye[:1], eye, probe])
    mean, cov = 0 * eye[0], transport.process.schedule.at(times[0]).sigma ** 2 * eye
    for step in pairwise(times):
        end, std = _step(sampler, transport, states, step)
        offset, matrix = end[0], (end[1:-1] - end[0]).mT
        if not torch.allclose(end[-1], offset + matrix @ probe[0], rtol=1e-6, atol=1e-9):
            raise CapabilityError("the model is not linear in the state: see density_of_samples")
        mean = matrix @ mean + offset
        cov = matrix @ cov @ matrix.mT + torch.diag(std[0].square())
    return mean, cov


def density_of_samples(
    sampler: Sampler, transport: Transport, times: Sequence[float], points: Tensor
) -> Tensor:
    """The density of samples on the line at equally spaced points, `(m,)`.

    The prior of the process at the first time is carried on by the kernels of the steps: by the
    trapezoidal rule, which for smooth densities on a wide interval errs by next to nothing. Points
    are to be closer than the noise of every step.

    Raises `InputError` for points that are too far apart or lose more than 1e-6 of the mass, and
    `CapabilityError` for a sampler that remembers.

    >>> from pushforward import samplers, schedules
    >>> from pushforward.analytic import AnalyticMixture
    >>> process = Gaussian(schedules.OU())
    >>> data = AnalyticMixture.gaussian(0.0, 1.0)
    >>> transport = Transport(lambda x, t, c=None: 0 * x, process)
    >>> points = torch.linspace(-6, 6, 401, dtype=torch.float64)
    >>> density = density_of_samples(samplers.Ancestral(), transport, [1.0, 0.1], points)
    >>> round(float(density.max()), 3)  # that of N(0, sigma^2), sigma^2 = 0.632
    0.502
    """
    x = points.double().reshape(-1, 1)
    h = float(x[1, 0] - x[0, 0])
    sigma = float(transport.process.schedule.at(times[0]).sigma)
    density = _normal(x[:, 0], torch.zeros(1).double(), torch.tensor([sigma]).double())
    for step in pairwise(times):
        mean, std = _step(sampler, transport, x, step)
        if float(std.min()) < h:
            raise InputError(
                f"the points are {h:g} apart, and the step at t = {step[0]:g} has a noise of "
                f"{float(std.min()):.2g}: take more points"
            )
        kernel = _normal(x, mean[:, 0], std[:, 0])
        density = h * kernel @ density
    lost = abs(1 - h * float(density.sum()))
    if lost > 1e-6:
        raise InputError(f"{lost:.2g} of the mass is lost: take a wider interval, or more points")
    return density


def _normal(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    return torch.exp(-0.5 * ((x - mean) / std) ** 2) / (std * (2 * torch.pi) ** 0.5)


def _step(
    sampler: Sampler, transport: Transport, x: Tensor, times: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """The mean of a step from each state, and the standard deviation of its noise."""
    ends = []
    for noise in (0.0, 1.0):
        process: Any = Gaussian(transport.process.schedule, _SameNoise(noise))
        (row,) = sampler.plan(process, times)
        state = sampler.init(x)
        ends.append(sampler.step(Transport(transport.model, process), state, row).x)
        if sampler.evaluations != 1:
            raise CapabilityError(f"{sampler} takes more than one evaluation a step")
    return ends[0], (ends[1] - ends[0]).abs()


class _SameNoise(Euclidean):
    """Draws that are all the same number."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.__dict__["value"] = value

    def randn(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return torch.full_like(x, self.__dict__["value"])
