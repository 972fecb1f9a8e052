"""Plug-and-play restoration (DiffPIR; Zhu et al. 2023)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from pushforward import checks
from pushforward._shapes import like
from pushforward.guidance.differentiating import levels
from pushforward.guidance.measured import MeasurementGuidance, solve_isotropic
from pushforward.protocols import Guided, Time

__all__ = ["DiffPIR"]


@dataclass(frozen=True)
class DiffPIR(MeasurementGuidance):
    r"""The state nearest to `E[x_0 | x_t]` and to the measurement, by a proximal step.

    The minimizer of `|y - A x|^2 + rho |x - E[x_0 | x_t]|^2` in `x`, with
    `rho = strength sigma_y^2 / (sigma / alpha)^2` (Zhu et al. 2023, where `strength` is lambda),
    which is

        E[x_0 | x_t] + A^T (A A^T + rho)^{-1} (y - A E[x_0 | x_t]).

    What noise comes back is the sampler's: the `churn` of `samplers.Ancestral` is their zeta.

    Cost: one evaluation of the model, and no derivative of it. Takes linear operators and Gaussian
    noise, each measured number with a variance of its own.

    >>> import torch
    >>> from pushforward import inverse, processes, schedules
    >>> process = processes.Gaussian(schedules.Rectified())
    >>> found = inverse.Measurement(
    ...     torch.tensor([3.0]), inverse.Matrix(torch.ones(1, 1)), inverse.GaussianNoise(1.0), (1,))
    >>> DiffPIR(lambda x, t, c=None: x, process, found)(torch.zeros(1, 1), 0.5)  # rho = 1
    tensor([[1.5000]])
    """

    strength: float = 1.0

    exactness: ClassVar[str] = (
        "a heuristic: takes x_0 for as uncertain as a flat prior would leave it, "
        "(sigma / alpha)^2 / strength in all directions; right where the noise is small beside the "
        "spread of the data"
    )
    cost: ClassVar[str] = "an evaluation of the network a step"

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.positive("strength", self.strength)
        self.measurement.linear(), self.measurement.variance()

    def guide(self, x_t: Tensor, t: Time, c: Any = None) -> Guided:
        """See the class; `log_likelihood` is that of a normal `x_0` with the variance of the
        proximal step."""
        alpha, sigma = levels(self.process, t)
        known = (sigma / alpha) ** 2 / self.strength
        free = self.model(x_t, t, c)
        residual = self.measurement.residual(free)
        u, log_prob, left = solve_isotropic(self.measurement, residual, known)
        return Guided(free, free + like(known, free) * self.measurement.adjoint(u), log_prob, left)
