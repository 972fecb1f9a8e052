"""Tweedie moment projected diffusion (Boys et al. 2023)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from pushforward._shapes import per_event_sum
from pushforward.guidance.differentiating import evaluate, pullback, tweedie_gain
from pushforward.guidance.measured import MeasurementGuidance
from pushforward.protocols import Guided, Time

__all__ = ["TMPD"]


@dataclass(frozen=True)
class TMPD(MeasurementGuidance):
    r"""Guided with a diagonal in the place of `A Cov[x_0 | x_t] A^T`: its row sums.

    With `J = d E[x_0 | x_t] / d x_t` and `C = (sigma^2 / alpha) J`, the covariance of `x_0` given
    `x_t`,

        E[x_0 | x_t] + C^T A^T diag(A C^T A^T 1 + Sigma)^{-1} (y - A E[x_0 | x_t])

    (Boys et al. 2023). Sums below zero, which neither a learned `J` nor negative correlations
    exclude, are zero.

    Cost: one evaluation of the model and two vector-Jacobian products. Takes linear operators and
    Gaussian noise.

    >>> from pushforward import inverse, processes, schedules
    >>> process = processes.Gaussian(schedules.Rectified())
    >>> found = inverse.Measurement(
    ...     torch.tensor([3.0]), inverse.Matrix(torch.ones(1, 1)), inverse.GaussianNoise(1.0), (1,))
    >>> model = lambda x, t, c=None: x  # E[x_0 | x_t] for standard normal data at t = 1/2
    >>> TMPD(model, process, found)(torch.zeros(1, 1), 0.5)  # 3 times 0.5 / (0.5 + 1)
    tensor([[1.]])
    """

    exactness: ClassVar[str] = (
        "exact for normal data with one measured number, or where the measured numbers are "
        "independent given x_t; a Gaussian approximation otherwise, without the right weights of "
        "modes"
    )
    cost: ClassVar[str] = "an evaluation of the network a step, and two derivatives of it"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.measurement.linear(), self.measurement.variance()

    def guide(self, x_t: Tensor, t: Time, c: Any = None) -> Guided:
        """See the class; `log_likelihood` is that of independent normal numbers."""
        measurement, factor = self.measurement, tweedie_gain(self.process, x_t, t)
        x, free = evaluate(self.model, x_t, t, c)
        residual = measurement.residual(free.detach())
        ones = measurement.adjoint(torch.ones_like(residual))
        sums = measurement.tangent(factor * pullback(free, x, ones, keep=True))
        total = sums.clamp(min=0) + measurement.variance()
        shift = pullback(free, x, measurement.adjoint(residual / total))
        log_prob = -0.5 * per_event_sum(
            residual.square() / total + total.log() + math.log(2 * math.pi)
        )
        return Guided(free.detach(), free.detach() + factor * shift, log_prob)
