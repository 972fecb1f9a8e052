"""What was measured, as a likelihood of states in the units of a model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from pushforward import state
from pushforward._shapes import flatten
from pushforward.errors import CapabilityError, InputError
from pushforward.inverse.gaussian_noise import GaussianNoise
from pushforward.inverse.noise import Noise
from pushforward.inverse.operator import LinearOperator, Operator, Shape
from pushforward.inverse.spectrum import Spectrum, linear_spectrum
from pushforward.spaces import Units

__all__ = ["Measurement"]


@dataclass(frozen=True)
class Measurement:
    r"""`y = A(x) + noise` for states `x = shift + scale z` that a model knows as `z`.

    Posterior samplers work on `z`; operator, noise and `y` are in the units of the data.

    Args:
        y: `(*observed)`, the same for all rows, or `(B, *observed)`, one for each.
        operator: `A`, in data units.
        noise: its distribution about `A(x)`.
        event_shape: that of a state.
        shift: `(*event)`, or broadcast to it.
        scale: likewise; of a linear operator it makes `A diag(scale)`.

    Raises `InputError` for shapes that do not fit and measurements that are not finite.

    >>> import torch
    >>> from pushforward.inverse import Matrix
    >>> found = Measurement(
    ...     torch.tensor([3.0]), Matrix(torch.tensor([[1.0, 1.0]])), GaussianNoise(0.1), (2,),
    ...     scale=torch.tensor([2.0, 1.0]))
    >>> found.clean(torch.ones(1, 2)), found.adjoint(torch.ones(1, 1))
    (tensor([[3.]]), tensor([[2., 1.]]))
    """

    y: Tensor
    operator: Operator
    noise: Noise
    event_shape: Shape
    shift: Tensor | float = 0.0
    scale: Tensor | float = 1.0

    def __post_init__(self) -> None:
        observed = self.observed_shape
        if tuple(self.y.shape) != observed and tuple(self.y.shape[1:]) != observed:
            raise InputError(
                f"the operator makes measurements of shape {observed} of states of shape "
                f"{self.event_shape}, but y has shape {tuple(self.y.shape)}"
            )
        if not bool(self.y.isfinite().all()):
            raise InputError("a measurement y holds finite numbers")
        self.noise.possible(self.y)

    @classmethod
    def of(
        cls, y: Tensor, operator: Operator, noise: Noise, event_shape: Shape, units: Units
    ) -> Measurement:
        """In the units of a model that acts on each coordinate by itself.

        Raises `CapabilityError` for units that mix coordinates, such as means and deviations apart.
        """
        zero = state.of_shape(event_shape, 1).to(units.log_det_inverse())
        shift = units(zero)[0]
        scale = units(zero + 1)[0] - shift
        other = torch.arange(zero.numel()).reshape(zero.shape).to(zero) / zero.numel()
        gap = (units(other)[0] - shift - scale * other[0]).abs()
        if bool((gap > 1e-3 * scale.abs() + 1e-5 * shift.abs()).any()):
            raise CapabilityError(
                f"measurements are in units of each number, and those of a {type(units).__name__} "
                "mix them: train with data.means= left out, on spaces.Fields"
            )
        return cls(y, operator, noise, event_shape, shift, scale)

    @cached_property
    def observed_shape(self) -> Shape:
        """The shape of one measurement.

        Of a function it is that of the state at the origin of the units of the model, the mean of
        its data, in the precision of `y`.
        """
        return self.operator.shape_for(self.shift + self.y.new_zeros(2, *self.event_shape))

    @property
    def batched(self) -> bool:
        """Whether each row has a measurement of its own."""
        return self.y.ndim > len(self.observed_shape)

    def take(self, rows: slice | Tensor) -> Measurement:
        """The measurement of some rows."""
        return replace(self, y=self.y[rows]) if self.batched else self

    def clean(self, z: Tensor) -> Tensor:
        """The measurement without noise, `A(shift + scale z)`."""
        return self.operator(self.shift + self.scale * z)

    def residual(self, z: Tensor) -> Tensor:
        """`y - A(x)`, `(B, *observed)`."""
        return self.y - self.clean(z)

    def log_likelihood(self, z: Tensor) -> Tensor:
        """`log p(y | x)` in nats, `(B,)`."""
        clean = self.clean(z)
        return self.noise.log_prob(self.y.expand_as(clean), clean)

    # -- linear operators -----------------------------------------------------------------------

    def linear(self) -> LinearOperator:
        """The operator, if it is linear. Raises `CapabilityError` if not."""
        if not isinstance(self.operator, LinearOperator):
            raise CapabilityError(
                f"this method needs a linear operator, and {type(self.operator).__name__} is none: "
                "mmps, dps and daps take any differentiable one"
            )
        return self.operator

    def variance(self) -> Tensor:
        """That of Gaussian noise, `()` or `(*observed)`. Raises `CapabilityError` for another."""
        if not isinstance(self.noise, GaussianNoise):
            raise CapabilityError(
                f"this method needs Gaussian noise, not {type(self.noise).__name__}: dps and daps "
                "take any with a density"
            )
        return self.noise.variance.to(self.y)

    def tangent(self, v: Tensor) -> Tensor:
        """The linear part, `A (scale v)`, `(B, *observed)`."""
        return self.linear()(self.scale * v)

    def adjoint(self, u: Tensor) -> Tensor:
        """The transpose of `tangent`, `scale A^T u`, `(B, *event)`."""
        return self.scale * self.linear().adjoint(u, self.event_shape)

    @cached_property
    def spectrum(self) -> Spectrum | None:
        """That of `A A^T` in units of Gaussian noise; `None` for too many numbers."""
        std = self.variance().expand(self.observed_shape).flatten().sqrt()
        return self.spectrum_in(std)

    def spectrum_in(self, std: Tensor) -> Spectrum | None:
        """That of `A A^T` in units of some deviations, `(m,)`.

        Of the singular values of the operator where the matrix is too large, and all numbers of the
        state, and all measured ones, have the same unit.
        """
        operator, shape = self.linear(), self.observed_shape
        found = linear_spectrum(self.tangent, self.adjoint, shape, std, operator.disjoint_rows)
        scale = torch.as_tensor(self.scale).to(std)
        if found is not None or bool((scale != scale.flatten()[0]).any() or (std != std[0]).any()):
            return found
        try:
            svd = operator.svd(self.event_shape)
        except CapabilityError:
            return None
        values = (svd.values.to(std) * scale.flatten()[0] / std[0]).square()
        return Spectrum(
            values,
            lambda w: svd.left(w.reshape(-1, *shape)),
            lambda a: flatten(svd.from_left(a)),
            std,
        )
