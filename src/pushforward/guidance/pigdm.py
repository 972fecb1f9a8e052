"""Pseudoinverse-guided diffusion (Song et al. 2023)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from pushforward import checks
from pushforward.guidance.differentiating import evaluate, levels, pullback, tweedie_gain
from pushforward.guidance.measured import MeasurementGuidance, solve_isotropic
from pushforward.protocols import Guided, Time

__all__ = ["PiGDM"]


@dataclass(frozen=True)
class PiGDM(MeasurementGuidance):
    r"""Guided as if `x_0` given `x_t` were normal with the same variance in all directions.

    With `J = d E[x_0 | x_t] / d x_t` and `r^2 = sigma^2 s^2 / (alpha^2 s^2 + sigma^2)`,

        E[x_0 | x_t] + (sigma^2 / alpha) J^T A^T (r^2 A A^T + Sigma)^{-1} (y - A E[x_0 | x_t])

    (Song et al. 2023, who have `s = 1`: `variance` is that of a coordinate of the data in the units
    of the model, 1 where it standardizes them).

    Cost: one evaluation of the model and one vector-Jacobian product. Takes linear operators and
    Gaussian noise.

    >>> import torch
    >>> from pushforward import inverse, processes, schedules
    >>> process = processes.Gaussian(schedules.Rectified())
    >>> found = inverse.Measurement(
    ...     torch.tensor([3.0]), inverse.Matrix(torch.ones(1, 1)), inverse.GaussianNoise(1.0), (1,))
    >>> model = lambda x, t, c=None: x  # E[x_0 | x_t] for standard normal data at t = 1/2
    >>> PiGDM(model, process, found)(torch.zeros(1, 1), 0.5)  # 3 times 0.5 / (0.5 + 1)
    tensor([[1.]])
    """

    variance: float = 1.0

    exactness: ClassVar[str] = (
        "exact for normal data of equal variance in all directions, if it is the one given; a "
        "Gaussian approximation otherwise, without the right weights of modes"
    )
    cost: ClassVar[str] = "an evaluation of the network a step, and a derivative of it"

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.positive("variance", self.variance)
        self.measurement.linear(), self.measurement.variance()

    def guide(self, x_t: Tensor, t: Time, c: Any = None) -> Guided:
        """See the class; `log_likelihood` is `log N(y; A E[x_0 | x_t], r^2 A A^T + Sigma)`."""
        alpha, sigma = levels(self.process, t)
        known = sigma**2 * self.variance / (alpha**2 * self.variance + sigma**2)
        x, free = evaluate(self.model, x_t, t, c)
        residual = self.measurement.residual(free.detach())
        u, log_prob, left = solve_isotropic(self.measurement, residual, known)
        shift = pullback(free, x, self.measurement.adjoint(u))
        guided = free.detach() + tweedie_gain(self.process, x_t, t) * shift
        return Guided(free.detach(), guided, log_prob, left)
