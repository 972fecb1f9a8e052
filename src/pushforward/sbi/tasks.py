"""The tasks of the benchmark sbibm: priors and simulators (Lueckmann et al. 2021)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pushforward.distributions import Box, ColoredNormal, LogNormal, Normal
from pushforward.errors import InputError
from pushforward.protocols import Distribution
from pushforward.sbi.differential_equations import lotka_volterra, susceptible_infected_recovered
from pushforward.sbi.simulating import Simulator

__all__ = ["TASKS", "Task", "task"]


@dataclass(frozen=True)
class Task:
    """A prior and a simulator with a name.

    Args:
        name: in the benchmark.
        prior: of the parameters, vectors.
        simulator: `f(theta, seed)`.
        parameters, observations: how many numbers a parameter and an observation have.
    """

    name: str
    prior: Distribution[Tensor]
    simulator: Simulator
    parameters: int
    observations: int


def task(name: str) -> Task:
    """A task by its name. Raises `InputError` naming those there are.

    >>> found = task("two_moons")
    >>> found.simulator(found.prior.sample(3, seed=0), 0).shape
    torch.Size([3, 2])
    """
    if name not in TASKS:
        raise InputError(f"no task {name!r}; there are {', '.join(TASKS)}")
    return TASKS[name]()


def _two_moons() -> Task:
    """A crescent whose place depends on `|theta_0 + theta_1|`: two crescents of parameters."""

    def simulator(theta: Tensor, seed: int) -> Tensor:
        g = _generator(seed)
        angle = math.pi * (torch.rand(len(theta), 1, generator=g) - 0.5)
        radius = 0.1 + 0.01 * torch.randn(len(theta), 1, generator=g)
        crescent = torch.cat([angle.cos() * radius + 0.25, angle.sin() * radius], 1)
        total, difference = theta.sum(1), theta[:, 1] - theta[:, 0]
        return crescent + torch.stack([-total.abs(), difference], 1) / math.sqrt(2)

    return Task("two_moons", _cube(2, 1.0), simulator, 2, 2)


def _gaussian_mixture() -> Task:
    """`y ~ (N(theta, I) + N(theta, 0.01 I)) / 2`, as in version 1.1.0 of the benchmark."""

    def simulator(theta: Tensor, seed: int) -> Tensor:
        g = _generator(seed)
        narrow = torch.rand(len(theta), 1, generator=g) < 0.5
        return theta + torch.where(narrow, 0.1, 1.0) * torch.randn(theta.shape, generator=g)

    return Task("gaussian_mixture", _cube(2, 10.0), simulator, 2, 2)


def _gaussian_linear() -> Task:
    """`theta ~ N(0, 0.1 I)` and `y ~ N(theta, 0.1 I)`; 0.1 are variances."""
    prior = Normal((10,), math.sqrt(0.1))
    return Task("gaussian_linear", prior, _noisy, 10, 10)


def _gaussian_linear_uniform() -> Task:
    """`y ~ N(theta, 0.1 I)` with a uniform prior; 0.1 is a variance."""
    return Task("gaussian_linear_uniform", _cube(10, 1.0), _noisy, 10, 10)


def _slcp() -> Task:
    """Simple likelihood, complex posterior: four draws of a normal distribution of the plane.

    Mean `(theta_0, theta_1)`, deviations `theta_2^2` and `theta_3^2`, correlation `tanh theta_4`;
    `1e-6` is added to the variances.
    """

    def simulator(theta: Tensor, seed: int) -> Tensor:
        first, second = theta[:, 2].square(), theta[:, 3].square()
        correlation = theta[:, 4].tanh()
        covariance = torch.stack(
            [
                torch.stack([first.square() + 1e-6, correlation * first * second], -1),
                torch.stack([correlation * first * second, second.square() + 1e-6], -1),
            ],
            -2,
        )
        root = torch.linalg.cholesky(covariance.double()).float()
        noise = torch.randn(len(theta), 4, 2, generator=_generator(seed))
        return (theta[:, None, :2] + noise @ root.mT).flatten(1)

    return Task("slcp", _cube(5, 3.0), simulator, 5, 8)


def _bernoulli_glm() -> Task:
    """A neuron's spikes by a generalized linear model of a stimulus, with sufficient statistics.

    `P(spike at t) = sigmoid(theta_0 + sum_j theta_{j+1} I_{t-j})` at 100 times, and the statistics
    are the number of spikes and the stimulus summed over them at nine lags. The prior of the filter
    is smooth, with the precision `F^T F`; that of the offset has the precision 1/2.
    """
    # The stimulus is frozen in the benchmark: this generator and this seed made it.
    frozen = np.random.RandomState(42).randn(100).astype(np.float32)
    stimulus = torch.from_numpy(frozen)
    design = torch.zeros(100, 10)
    design[:, 0] = 1
    for lag in range(9):
        design[lag:, 1 + lag] = stimulus[: 100 - lag]
    steps = torch.arange(9.0)
    first = torch.eye(9) - torch.eye(9).roll(1, 0).tril()
    smooth = first @ first + (steps / 9).sqrt().diag()
    precision = torch.zeros(10, 10)
    precision[0, 0] = 0.5
    precision[1:, 1:] = smooth.mT @ smooth
    prior = ColoredNormal(torch.linalg.inv(precision.double()).float())

    def simulator(theta: Tensor, seed: int) -> Tensor:
        chance = (theta @ design.mT).sigmoid()
        spikes = (torch.rand(chance.shape, generator=_generator(seed)) < chance).float()
        return spikes @ design

    return Task("bernoulli_glm", prior, simulator, 10, 10)


def _sir() -> Task:
    """An epidemic of one infected in a million; ten counts of 1,000 people tested (binomial).

    The parameters are the rates of contact and of recovery, a day.
    """

    def simulator(theta: Tensor, seed: int) -> Tensor:
        infected = susceptible_infected_recovered(theta, times=[17.0 * k for k in range(10)])
        chance = infected.clamp(0, 1)
        return torch.binomial(torch.full_like(chance, 1000.0), chance, generator=_generator(seed))

    prior = LogNormal([math.log(0.4), math.log(0.125)], [0.5, 0.2])
    return Task("sir", prior, simulator, 2, 10)


def _lotka_volterra() -> Task:
    """Prey and predators, ten times each, with log-normal errors of a tenth."""

    def simulator(theta: Tensor, seed: int) -> Tensor:
        levels = lotka_volterra(theta, times=[2.1 * k for k in range(10)]).clamp(1e-10, 1e4)
        noise = torch.randn(levels.shape, generator=_generator(seed))
        return levels * (0.1 * noise).exp()

    prior = LogNormal([-0.125, -3.0, -0.125, -3.0], [0.5] * 4)
    return Task("lotka_volterra", prior, simulator, 4, 20)


def _noisy(theta: Tensor, seed: int) -> Tensor:
    return theta + math.sqrt(0.1) * torch.randn(theta.shape, generator=_generator(seed))


def _cube(d: int, bound: float) -> Box:
    return Box([-bound] * d, [bound] * d)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


TASKS: dict[str, Callable[[], Task]] = {
    "two_moons": _two_moons,
    "gaussian_mixture": _gaussian_mixture,
    "gaussian_linear": _gaussian_linear,
    "gaussian_linear_uniform": _gaussian_linear_uniform,
    "slcp": _slcp,
    "bernoulli_glm": _bernoulli_glm,
    "sir": _sir,
    "lotka_volterra": _lotka_volterra,
}
