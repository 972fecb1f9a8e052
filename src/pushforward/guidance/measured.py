"""What the guidance by a measurement has in common."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from torch import Tensor

from pushforward._shapes import Weight, like, per_event_sum
from pushforward.errors import ConvergenceWarning
from pushforward.guidance.differentiating import check_process
from pushforward.inverse import Measurement
from pushforward.inverse.conjugate_gradients import conjugate_gradients
from pushforward.protocols import GaussianKernels, Guided, Model, Time

__all__ = ["GaussianSolution", "MeasurementGuidance", "solve_isotropic"]

_LOOSE = 0.1
"""The relative residual of a linear system from which a prediction is warned of."""


@dataclass(frozen=True)
class MeasurementGuidance(ABC):
    """A model of `E[x_0 | x_t]` turned into one of `E[x_0 | x_t, y]`, so that any sampler goes on.

    Args:
        model: predicts `E[x_0 | x_t]`.
        process: its Gaussian process, with white noise.
        measurement: `y`, its operator and its noise, in the units of the model; batched ones have a
            row for each state.

    Raises `CapabilityError` for other processes, operators and noise than the method can take.
    """

    model: Model
    process: GaussianKernels
    measurement: Measurement

    exactness: ClassVar[str]
    """When the guided prediction is exact, in a sentence."""
    cost: ClassVar[str]
    """What a step costs, in words."""

    def __post_init__(self) -> None:
        check_process(self.process, type(self).__name__)

    @abstractmethod
    def guide(self, x_t: Tensor, t: Time, c: Any = None) -> Guided:
        """Both predictions and `log p(y | x_t)`, from one evaluation of the model."""

    def __call__(self, x_t: Tensor, t: Time, c: Any = None) -> Tensor:
        """The guided prediction. Warns if a linear system was not solved (`guide` says how far)."""
        found = self.guide(x_t, t, c)
        if found.residual is not None and bool((found.residual > _LOOSE).any()):
            far = int((found.residual > _LOOSE).sum())
            warnings.warn(
                f"{type(self).__name__}: the linear systems of {far} of {len(x_t)} states are not "
                f"solved: residuals are up to {float(found.residual.max()):.0%} of their "
                "right-hand side; take more iterations",
                ConvergenceWarning,
                stacklevel=2,
            )
        return found.guided

    def log_likelihood(self, x_0: Tensor, c: Any = None) -> Tensor:
        """`log p(y | x_0)` of states in the units of the model, `(B,)`."""
        return self.measurement.log_likelihood(x_0)


class GaussianSolution(NamedTuple):
    """A linear system of a Gaussian measurement, solved.

    Args:
        u: the solution, `(B, *observed)`.
        log_prob: the normal log-density of the right-hand side, `(B,)`; up to a function of the
            time if the system was solved by iteration.
        residual: see `Guided`.
    """

    u: Tensor
    log_prob: Tensor
    residual: Tensor | None = None


_ITERATIONS, _TOLERANCE = 100, 1e-5


def solve_isotropic(measurement: Measurement, b: Tensor, variance: Weight) -> GaussianSolution:
    """`(r^2 A A^T + Sigma)^{-1} b` for a number `r^2` or one a row.

    By the spectrum of `A A^T`, or by conjugate gradients where it is too large.
    """
    spectrum = measurement.spectrum
    if spectrum is not None:
        return GaussianSolution(spectrum.solve(b, variance), spectrum.log_prob(b, variance))
    noise = measurement.variance()
    r2 = like(variance, b)
    found = conjugate_gradients(
        lambda u: r2 * measurement.tangent(measurement.adjoint(u)) + noise * u,
        b, _ITERATIONS, _TOLERANCE,
    )  # fmt: skip
    return GaussianSolution(found.x, -0.5 * per_event_sum(b * found.x), found.residual)
