"""Diffusion posterior sampling (Chung et al. 2023)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from pushforward._shapes import flatten
from pushforward.errors import CapabilityError, InputError
from pushforward.guidance.differentiating import evaluate, recording, tweedie_gain
from pushforward.guidance.measured import MeasurementGuidance
from pushforward.inverse import ExactConstraint
from pushforward.protocols import Guided, Time

__all__ = ["DPS"]


@dataclass(frozen=True)
class DPS(MeasurementGuidance):
    r"""Guided by the gradient of the misfit of `E[x_0 | x_t]`, of a length that does not grow with
    it.

        E[x_0 | x_t] - strength sqrt(m) (sigma^2 / alpha) grad_{x_t} |y - A(E[x_0 | x_t])|,

    for `m` measured numbers, where `|.|` is the norm in units of the noise, of each row by itself.
    With other than Gaussian noise the norm is the root of the deviance,
    `|.|^2 = 2 (log p(y | y) - log p(y | A(x)))`. It is the norm that `strength` multiplies, not its
    square: Chung et al. (2023) print the square and divide the step by the norm, which is the same.
    At `strength = 1` the gradient is that of `log p(y | x_0)` at the mean wherever the norm is
    `sqrt(m)`, its expectation for the true state, and farther away shorter. A step of DDPM that
    subtracts `zeta grad |.|` afterwards, as published, has
    `strength = zeta gain alpha / (sigma^2 sqrt(m))` with its own `gain` (`Gaussian.pinned`), so
    that its guidance grows with the number of steps; this one's does not.

    Cost: one evaluation of the model and one vector-Jacobian product. Takes any differentiable
    operator and any noise with a density.

    Args:
        strength: one number, or one for each row, `(B,)`.

    >>> from pushforward import inverse, processes, schedules
    >>> process = processes.Gaussian(schedules.Rectified())
    >>> found = inverse.Measurement(
    ...     torch.tensor([3.0]), inverse.Matrix(torch.ones(1, 2)), inverse.GaussianNoise(1.0), (2,))
    >>> DPS(lambda x, t, c=None: x, process, found)(torch.zeros(1, 2), 0.5)
    tensor([[0.5000, 0.5000]])
    """

    strength: float | Tensor = 1.0

    exactness: ClassVar[str] = (
        "a heuristic: ignores the variance of x_0 given x_t, and is right in no limit but that of "
        "small noise; the spread of its draws depends on the strength"
    )

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
        """See the class; `log_likelihood` is `-strength sqrt(m) |.|`."""
        factor = tweedie_gain(self.process, x_t, t)
        x, free = evaluate(self.model, x_t, t, c)
        with recording():
            misfit = self._misfit(free)
            if not misfit.requires_grad:
                name = type(self.measurement.operator).__name__
                raise CapabilityError(f"DPS differentiates the operator: {name} has no derivative")
            value = -torch.as_tensor(self.strength).to(misfit) * misfit
            (score,) = torch.autograd.grad(value.sum(), x, materialize_grads=True)
        return Guided(free.detach(), free.detach() + factor * score, value.detach())

    def _misfit(self, x_0: Tensor) -> Tensor:
        """`sqrt(m)` times the norm of the residual in units of the noise, `(B,)`."""
        measurement = self.measurement
        clean = measurement.clean(x_0)
        y = measurement.y.expand_as(clean)
        best = measurement.noise.log_prob(y, y)
        deviance = 2 * (best - measurement.noise.log_prob(y, clean)).clamp(min=0)
        # The root has no derivative at zero, where the gradient of the deviance vanishes.
        tiny = torch.finfo(deviance.dtype).tiny
        return (flatten(clean).shape[1] * deviance + tiny).sqrt()
