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

from pushforward import registry
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
    """The density of samples on the line at points, `(m,)`.

    The prior of the process at the first time is carried on by the kernels of the steps: by the
    trapezoidal rule, which for smooth densities on a wide interval errs by next to nothing. Between
    two steps the density is kept on an interval that holds it, however far a step throws the
    states, at equally spaced points closer than the noise of the step that follows.

    Raises `InputError` where that takes more than 20,000 points or 1e-6 of the mass is lost, and
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
    points, steps = points.double().reshape(-1), list(pairwise(times))
    sigma = float(transport.process.schedule.at(times[0]).sigma)
    low, high = -_FAR * sigma, _FAR * sigma
    density: Tensor | None = None
    kernel: tuple[Tensor, Tensor, Tensor, float] | None = None
    for k, step in enumerate(steps):
        x = _fine(sampler, transport, step, low, high)
        density = (
            _normal(x, 0 * x[:1, 0], 0 * x[:1, 0] + sigma)[:, 0]
            if kernel is None
            else _carried(x[:, 0], *kernel)
        )
        h = float(x[1, 0] - x[0, 0])
        lost = abs(1 - h * float(density.sum()))
        if lost > 1e-6:
            raise InputError(f"{lost:.2g} of the mass is lost at the step from t = {step[0]:g}")
        mean, std = (part[:, 0] for part in _step(sampler, transport, x, step))
        kernel = density, mean, std, h
        if k < len(steps) - 1:
            there = density > _NEXT_TO_NOTHING
            low = float((mean - _FAR * std)[there].min())
            high = float((mean + _FAR * std)[there].max())
    assert kernel is not None
    return _carried(points, *kernel)


_FAR = 9.0
_NEXT_TO_NOTHING = 1e-18
_MOST_POINTS = 20_000
_ROWS = 2_000
"""Points of a density that are computed at a time."""


def _fine(
    sampler: Sampler, transport: Transport, step: tuple[float, float], low: float, high: float
) -> Tensor:
    """Points `(m, 1)` of an interval that are closer than the noise of a step from any of them."""
    rough = torch.linspace(low, high, 401, dtype=torch.float64)[:, None]
    least = 0.8 * float(_step(sampler, transport, rough, step)[1].min())
    number = (high - low) / least if least > 0 else float("inf")
    if not number < _MOST_POINTS:
        raise InputError(
            f"samples are up to {max(abs(low), abs(high)):.3g} away before the step from "
            f"t = {step[0]:g}, whose noise is {least:.2g}: that takes more than {_MOST_POINTS} "
            "points; stop earlier, or take more steps"
        )
    return torch.linspace(low, high, max(401, int(number) + 2), dtype=torch.float64)[:, None]


def _carried(to: Tensor, density: Tensor, mean: Tensor, std: Tensor, h: float) -> Tensor:
    """The density at some points after a step from equally spaced ones, `h` apart."""
    return torch.cat([h * _normal(part[:, None], mean, std) @ density for part in to.split(_ROWS)])


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
            name = registry.called("samplers", sampler)
            raise CapabilityError(f"{name} takes more than one evaluation a step")
    return ends[0], (ends[1] - ends[0]).abs()


class _SameNoise(Euclidean):
    """Draws that are all the same number."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.__dict__["value"] = value

    def randn(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return torch.full_like(x, self.__dict__["value"])
