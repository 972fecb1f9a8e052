"""The right variance of ancestral steps, from `Var[x_0 | x_t]` (Analytic-DPM; Bao et al. 2022a).

The pinned kernel `N(keep x_t + gain x_0, std^2)` averaged over `x_0` given `x_t` has the mean that
a step takes, but more variance than `std^2`. The difference matters when steps are few; on normal
data with independent coordinates the steps are then exact, however long.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from pushforward._autograd import diagonal
from pushforward.processes import Kernel
from pushforward.protocols import Transport

__all__ = ["Variance", "step_variance", "tweedie_variance"]

Variance = Callable[[Tensor, float], Tensor]
"""`Var[x_0 | x_t]` of each coordinate, from states `(B, *event)` and a time, broadcast to them."""


def step_variance(kernel: Kernel, known: Tensor) -> Tensor:
    """The variance of `x_s` given `x_t`, from the pinned kernel and `Var[x_0 | x_t]`.

    `std^2 + gain^2 Var[x_0 | x_t]`, the law of total variance.

    >>> import torch
    >>> step_variance(Kernel(1.0, 0.5, 2.0, 1.0), torch.tensor(0.25))
    tensor(2.)
    """
    return kernel.gain**2 * known + (0.0 if kernel.std is None else kernel.std**2)


def tweedie_variance(transport: Transport) -> Variance:
    r"""`Var[x_0 | x_t]` from the derivative of the posterior mean, with nothing to learn.

    `(sigma^2 / alpha) d E[x_0 | x_t]_i / d x_{t,i}`, the second order of Tweedie's formula
    (Efron 2011): exact for an exact model, for one backward pass per coordinate. Where an inexact
    model has it below zero, it is zero.

    >>> import torch
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
