"""Ancestral steps whose variance is that of the step, not only that of the pinned kernel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from pushforward._autograd import diagonal
from pushforward._shapes import combine
from pushforward.errors import CapabilityError, InputError
from pushforward.processes import Gaussian, Kernel
from pushforward.protocols import State, Transport
from pushforward.samplers.rule import Rule

__all__ = ["MomentMatched", "Variance", "step_variance", "tweedie_variance"]

Variance = Callable[[Tensor, float], Tensor]
"""`Var[x_0 | x_t]` of each coordinate, from states `(B, *event)` and a time, broadcast to them."""


def step_variance(kernel: Kernel, known: Tensor) -> Tensor:
    """The variance of `x_s` given `x_t`, from the pinned kernel and `Var[x_0 | x_t]`.

    `std^2 + gain^2 Var[x_0 | x_t]`, the law of total variance.

    >>> step_variance(Kernel(1.0, 0.5, 2.0, 1.0), torch.tensor(0.25))
    tensor(2.)
    """
    return kernel.gain**2 * known + (0.0 if kernel.std is None else kernel.std**2)


def tweedie_variance(transport: Transport) -> Variance:
    r"""`Var[x_0 | x_t]` from the derivative of the posterior mean, with nothing to learn.

    `(sigma^2 / alpha) d E[x_0 | x_t]_i / d x_{t,i}`, the second order of Tweedie's formula
    (Efron 2011): exact for an exact model, for one backward pass per coordinate. Where an inexact
    model has it below zero, it is zero.

    >>> from pushforward import processes, schedules
    >>> process = processes.Gaussian(schedules.Rectified())
    >>> def model(x, t, c=None):  # the posterior mean of standard normal data
    ...     k = process.schedule.at(t)
    ...     return k.alpha / (k.alpha**2 + k.sigma**2) * x
    >>> tweedie_variance(Transport(model, process))(torch.zeros(1, 1), 0.5)
    tensor([[0.5000]])
    """

    def variance(x: Tensor, t: float) -> Tensor:
        alpha, sigma = transport.process.schedule.values(t)
        slopes = diagonal(lambda x: transport.model(x, t), x)[1]
        return (sigma**2 / alpha * slopes).clamp(min=0)

    return variance


@dataclass(frozen=True)
class MomentMatched(Rule):
    """A normal step with the mean and the variances of `p(x_s | x_t)`.

    The pinned kernel `N(keep x_t + gain x_0, std^2)` averaged over `x_0` given `x_t` has the mean
    that `Ancestral` takes, but more variance than it adds: `step_variance` (Bao et al. 2022a,
    2022b). The difference matters when steps are few; on normal data with independent coordinates
    the steps are exact, however long.

    Args:
        variance: `Var[x_0 | x_t]`, in closed form, by `tweedie_variance`, or learned
            (`models.PosteriorVariance`).
        churn: as in `Ancestral`, 1 for DDPM and 0 for DDIM.

    Raises `InputError` unless churn lies in [0, 1] and the variance is a function,
    `CapabilityError` for other processes than the `Gaussian` one on vectors.

    >>> from pushforward import Transport, processes, samplers, schedules
    >>> process = processes.Gaussian(schedules.Rectified())
    >>> transport = Transport(lambda x, t, c=None: 0 * x, process)
    >>> sampler = MomentMatched(lambda x, t: torch.ones(()))
    >>> x = samplers.run(sampler, transport, torch.zeros(100_000, 1), [1.0, 0.0], seed=0)
    >>> round(x.std().item(), 1)
    1.0
    """

    variance: Variance
    churn: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.churn <= 1:
            raise InputError(f"a pinned step takes churn in [0, 1], not {self.churn}")
        if not callable(self.variance):
            raise InputError(f"the variance is a function (x_t, t), not {self.variance!r}")

    def plan(self, process: Any, grid: Sequence[float]) -> list[tuple[float, Kernel]]:
        """The time of each step, and its pinned kernel."""
        if not (isinstance(process, Gaussian) and process.space.white):
            raise CapabilityError(
                f"moments are matched for a Gaussian process on vectors, not for {process}: use "
                "the ddpm sampler"
            )
        return [(t, process.pinned(t, s, self.churn)) for t, s in pairwise(grid)]

    def rehearsed(self) -> MomentMatched:
        """The same steps with no variance of the data."""
        return MomentMatched(lambda x, t: x.new_zeros(()), self.churn)

    def step(
        self,
        transport: Transport,
        state: State,
        row: tuple[float, Kernel],
        generator: torch.Generator | None = None,
    ) -> State:
        """A draw of the normal law with the moments of the step."""
        (model, process), (t, kernel), x = transport, row, state.x
        std = step_variance(kernel, self.variance(x, t)).sqrt()
        mean = combine((kernel.keep, kernel.gain), (x, model(x, t)))
        return State(mean + std * process.space.randn(x, generator))
