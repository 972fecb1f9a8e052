"""Diffusion posterior sampling (Chung et al. 2023)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from pushforward._shapes import flatten, like, per_event_sum
from pushforward.errors import CapabilityError, InputError
from pushforward.guidance.differentiating import evaluate, levels, pullback, recording, tweedie_gain
from pushforward.guidance.measured import MeasurementGuidance
from pushforward.inverse import ExactConstraint
from pushforward.protocols import Guided, Time

__all__ = ["DPS"]


@dataclass(frozen=True)
class DPS(MeasurementGuidance):
    r"""Guided by the gradient of the misfit of `E[x_0 | x_t]`, by a length that does not overshoot.

    For `m` measured numbers and the norm `|.|` in units of the noise, of each row by itself,

        E[x_0 | x_t] - strength w (sigma^2 / alpha) grad_{x_t} |y - A(E[x_0 | x_t])|,
        w = sqrt(m) / sqrt(1 + (sigma / alpha)^2 |grad_{x_0} |y - A(x_0)||^2).

    `strength` multiplies the gradient of the norm, not of its square: Chung et al. (2023) print the
    square and divide the step by the norm, which is the same, and leave the length to be tuned for
    each problem and each number of steps. Here `w` takes its place, and is not differentiated: the
    root is how far noise and the error of a flat prior take the residual in its own direction, so
    that a residual of the size to be expected, `sqrt(m)` times that, is answered as by the gradient
    of its normal density, and a larger one not more. A step of DDPM that subtracts
    `zeta grad |.|` afterwards, as published, has `zeta = strength w gain sigma^2 / alpha` with the
    `gain` of `Gaussian.pinned`.

    With other than Gaussian noise the norm is the root of the deviance,
    `|.|^2 = 2 (log p(y | y) - log p(y | A(x)))`.

    Cost: one evaluation of the model and one vector-Jacobian product. Takes any differentiable
    operator and any noise with a density.

    Args:
        strength: one number, or one for each row, `(B,)`.

    >>> from pushforward import inverse, processes, schedules
    >>> process = processes.Gaussian(schedules.Rectified())
    >>> found = inverse.Measurement(
    ...     torch.tensor([3.0]), inverse.Matrix(torch.ones(1, 1)), inverse.GaussianNoise(1.0), (1,))
    >>> DPS(lambda x, t, c=None: x, process, found)(torch.zeros(1, 1), 0.5)  # 0.5 / sqrt(1 + 1)
    tensor([[0.3536]])
    """

    strength: float | Tensor = 1.0

    exactness: ClassVar[str] = (
        "a heuristic: ignores the variance of x_0 given x_t, and is right in no limit but that of "
        "small noise; the spread of its draws depends on the strength"
    )
    cost: ClassVar[str] = "an evaluation of the network a step, and a derivative of it"

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.measurement.noise, ExactConstraint):
            raise CapabilityError(
                "DPS needs noise with a density, and there is none: projection meets a measurement "
                "exactly"
            )
        strength = torch.as_tensor(self.strength)
        if strength.ndim > 1 or not bool((strength >= 0).all() and strength.isfinite().all()):
            raise InputError(
                f"the strength of DPS is a number >= 0, or one for each row, not {self.strength}"
            )

    def guide(self, x_t: Tensor, t: Time, c: Any = None) -> Guided:
        """See the class; `log_likelihood` is `-strength w |.|`."""
        alpha, sigma = levels(self.process, t)
        x, free = evaluate(self.model, x_t, t, c)
        with recording():
            x_0 = free.detach().requires_grad_()
            norm, count = self._norm(x_0)
            if not norm.requires_grad:
                name = type(self.measurement.operator).__name__
                raise CapabilityError(f"DPS differentiates the operator: {name} has no derivative")
            (slope,) = torch.autograd.grad(norm.sum(), x_0, materialize_grads=True)
        spread = 1 + (sigma / alpha) ** 2 * per_event_sum(slope.square())
        length = torch.as_tensor(self.strength).to(norm) * (count / spread).sqrt()
        shift = -like(length, slope) * pullback(free, x, slope)
        guided = free.detach() + tweedie_gain(self.process, x_t, t) * shift
        return Guided(free.detach(), guided, -length * norm.detach())

    def _norm(self, x_0: Tensor) -> tuple[Tensor, int]:
        """The norm of the residual in units of the noise, `(B,)`, and of how many numbers."""
        measurement = self.measurement
        clean = measurement.clean(x_0)
        y = measurement.y.expand_as(clean)
        best = measurement.noise.log_prob(y, y)
        deviance = 2 * (best - measurement.noise.log_prob(y, clean)).clamp(min=0)
        # The root has no derivative at zero, where the gradient of the deviance vanishes.
        tiny = torch.finfo(deviance.dtype).tiny
        return (deviance + tiny).sqrt(), flatten(clean).shape[1]
