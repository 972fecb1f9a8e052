"""What posteriors need of a prior: `E[x_0 | x_t]` under Gaussian noise."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor

from pushforward import grids
from pushforward.couplings import Coupling, Independent
from pushforward.distributions import Normal
from pushforward.errors import CapabilityError
from pushforward.processes import Gaussian, GenerativeProcess, StochasticInterpolant
from pushforward.processes.path_noise import gaussian_of, posterior_mean
from pushforward.protocols import Model, Time, Transport
from pushforward.schedules import VE
from pushforward.spaces.function_noise import NoiseRoot

__all__ = [
    "Denoiser",
    "NO_DENOISER",
    "Transports",
    "denoiser_of_flow",
    "denoiser_of_process",
    "denoiser_of_score",
    "white_process",
]

NO_DENOISER = (
    "posteriors by guidance need E[x_0 | x_t] under white Gaussian noise: a Diffusion on a "
    "Gaussian process, a FlowMatching without a source and with the coupling 'independent', or "
    "a ScoreModel of many levels have it"
)


class Denoiser(NamedTuple):
    """A model of `E[x_0 | x_t]`, in its own units, with all that a guided sampler needs beside.

    Args:
        model: the model for some rows of a context.
        process: the noise.
        grid: where samplers step.
        prior: what they start from, at `start`.
        start: the first time.
        stop: the last one.
    """

    model: Callable[[slice | Tensor], Model]
    process: Gaussian
    grid: grids.Grid
    prior: Any
    start: float
    stop: float


Transports = Callable[[Any], Transport]
"""A model and its process for some rows of a context."""


def denoiser_of_process(
    process: GenerativeProcess,
    transports: Transports,
    grid: grids.Grid,
    shape: Any,
    root: NoiseRoot | None = None,
) -> Denoiser:
    """Of a model of a Gaussian process; of one with colored noise in the coordinates `w` of its
    `root`, `x = R w`: `E[w_0 | w_t] = R^{-1} E[x_0 | x_t = R w_t]`.

    Raises `CapabilityError` for another process.
    """
    if not isinstance(process, Gaussian) or not (process.space.white or root is not None):
        raise CapabilityError(f"{process} has none: {NO_DENOISER}")
    start, stop = process.interval

    def model(rows: Any) -> Model:
        return transports(rows).model

    found = Denoiser(model, process, grid, process.prior(shape, start), start, stop)
    return found if root is None else _in_white(found, root, shape)


def white_process(process: Any) -> Gaussian:
    """A process of Gaussian noise, with white noise on the same schedule."""
    return Gaussian(process.schedule)


def _in_white(colored: Denoiser, root: NoiseRoot, shape: Any) -> Denoiser:
    """What predicts `x_0` as what predicts `w_0` of `x = R w`."""
    noise = white_process(colored.process)

    def model(rows: Any) -> Model:
        own = colored.model(rows)

        def predict(x_t: Tensor, t: Time, c: Any = None) -> Tensor:
            return root.whiten(own(root.color(x_t), t, c))

        return predict

    return colored._replace(model=model, process=noise, prior=noise.prior(shape, colored.start))


def denoiser_of_flow(
    process: GenerativeProcess,
    transports: Transports,
    coupling: Coupling,
    shape: Any,
    root: NoiseRoot | None = None,
) -> Denoiser:
    """Of a flow from normal noise, by `processes.path_noise`; with a `root` as above.

    Raises `CapabilityError` for other spaces, and for noise that is coupled to the data: given
    `x_0` it is not normal.
    """
    if not isinstance(process, StochasticInterpolant):
        raise CapabilityError(f"a flow of {type(process).__name__} has none: {NO_DENOISER}")
    if not isinstance(coupling, Independent):
        raise CapabilityError(
            f"{type(coupling).__name__} couples the noise to the data, so that it is not normal "
            f"given x_0: {NO_DENOISER}"
        )

    def model(rows: Any) -> Model:
        own = transports(rows).model

        def mean(x_t: Tensor, t: Time, c: Any = None) -> Tensor:
            return posterior_mean(process, own(x_t, t, c), x_t, t)

        return mean

    noise = gaussian_of(process)
    start, stop = noise.interval
    grid = grids.LogSNRGrid()
    found = Denoiser(model, noise, grid, noise.prior(shape, start), start, stop)
    return found if root is None else _in_white(found, root, shape)


def denoiser_of_score(
    score: Callable[..., Tensor], sigmas: tuple[float, ...], shape: Any
) -> Denoiser:
    """Of a score at many noise levels, `E[x_0 | x_t] = x_t + sigma^2 score` (Tweedie).

    The states of the largest level start from a normal distribution with the variance of
    standardized data and that of the noise. Raises `CapabilityError` for a score without levels.
    """
    if len(sigmas) < 2:
        raise CapabilityError(f"this score knows one noise level at most: {NO_DENOISER}")
    largest, smallest = sigmas[0], sigmas[-1]
    # `sigma_1` is the largest level, and the smallest is at `stop`.
    schedule = VE(smallest, (largest**2 + smallest**2) ** 0.5)
    stop = math.log(2) / (2 * math.log(schedule.sigma_max / smallest))

    def mean(x_t: Tensor, t: Time, c: Any = None) -> Tensor:
        sigma = schedule.values(t)[1]
        variance = (
            sigma**2
            if isinstance(sigma, float)
            else sigma.square().view(-1, *(1,) * (x_t.ndim - 1))
        )
        found: Tensor = x_t + variance * score(x_t, sigma)
        return found

    prior = Normal(shape, (1 + largest**2) ** 0.5)
    return Denoiser(lambda rows: mean, Gaussian(schedule), grids.LogSNRGrid(), prior, 1.0, stop)
