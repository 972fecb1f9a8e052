"""Exact projection on a linear constraint (DDNM; Wang et al. 2023)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pushforward import checks
from pushforward.errors import CapabilityError
from pushforward.inverse import ExactConstraint, Measurement
from pushforward.inverse.spectrum import Spectrum
from pushforward.protocols import Model, Time

__all__ = ["NullSpaceProjection"]


@dataclass(frozen=True)
class NullSpaceProjection:
    r"""The prediction with its measured part replaced: `E[x_0 | x_t] + A^+ (y - A E[x_0 | x_t])`.

    The null-space model of Wang et al. (2023): `A x = y` holds for each prediction, so for what a
    sampler ends with if its last step is the prediction. Where rows of `A` depend on each other,
    `y` is met as far as it can be, in least squares.

    Exactness: the constraint is exact; the distribution of the rest is a heuristic, right where the
    measured part tells nothing of the rest.

    Cost: one evaluation of the model, and no derivative of it.

    Args:
        model: predicts `E[x_0 | x_t]`.
        measurement: with a linear operator and without noise, `inverse.ExactConstraint`.
        tolerance: eigenvalues of `A A^T` below this times the largest are zero.

    Raises `CapabilityError` for measurements with noise, and for operators that are not linear, or
    measure too many numbers without singular values in closed form.

    >>> from pushforward import inverse
    >>> found = inverse.Measurement(
    ...     torch.tensor([3.0]), inverse.Matrix(torch.ones(1, 2)), inverse.ExactConstraint(), (2,))
    >>> NullSpaceProjection(lambda x, t, c=None: x, found)(torch.tensor([[1.0, 0.0]]), 0.5)
    tensor([[2., 1.]])
    """

    model: Model
    measurement: Measurement
    tolerance: float = 1e-6
    _spectrum: Spectrum = field(init=False, repr=False, compare=False)

    exactness = (
        "the constraint is met exactly; the distribution of the rest is a heuristic, right where "
        "the measured part tells nothing of it"
    )
    cost = "an evaluation of the network a step"

    def __post_init__(self) -> None:
        checks.positive("tolerance", self.tolerance)
        if not isinstance(self.measurement.noise, ExactConstraint):
            raise CapabilityError(
                "projection takes measurements without noise (noise='exact'), and these have "
                f"{type(self.measurement.noise).__name__}: diffpir and mmps take Gaussian noise"
            )
        count = self.measurement.y[0] if self.measurement.batched else self.measurement.y
        found = self.measurement.spectrum_in(torch.ones_like(count).flatten())
        if found is None:
            raise CapabilityError(
                f"projection diagonalizes A A^T, and {count.numel()} measured numbers are too many "
                f"for {type(self.measurement.operator).__name__}: diffpir with little noise takes "
                "any number"
            )
        object.__setattr__(self, "_spectrum", found)

    def __call__(self, x_t: Tensor, t: Time, c: Any = None) -> Tensor:
        """The projected prediction."""
        free: Tensor = self.model(x_t, t, c)
        lacking = self._spectrum.pseudo_inverse(self.measurement.residual(free), self.tolerance)
        return free + self.measurement.adjoint(lacking)
