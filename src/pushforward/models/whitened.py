"""Models of colored noise in coordinates in which their noise is white."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pushforward.inverse import LinearOperator, Measurement, Noise, Operator
from pushforward.models.denoiser import Denoiser
from pushforward.models.denoising_prior import DenoisingPrior
from pushforward.spaces.function_noise import NoiseRoot

if TYPE_CHECKING:
    from pushforward.models.model import GenerativeModel

__all__ = ["WhiteCoordinates", "in_white"]


@dataclass(frozen=True)
class WhiteCoordinates(DenoisingPrior):
    r"""A model of `x = R w` as one of `w`, where `R R^T` is the covariance of its noise.

    `w_t = alpha w_0 + sigma xi` with white `xi`: whatever guides by white noise, guides `w`. A
    measurement `A x` is one of `A R w`.

    Args:
        model: of states whose noise is colored.
        root: `R`, of the noise of its space.
    """

    model: GenerativeModel
    root: NoiseRoot

    @property
    def device(self) -> torch.device:
        """That of the model."""
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        """That of the model."""
        return self.model.dtype

    def evaluating(self) -> AbstractContextManager[None]:
        """That of the model."""
        return self.model.evaluating()

    def inward(self, x: Tensor) -> Tensor:
        """States in white coordinates."""
        return self.root.whiten(self.model.inward(x))

    def outward(self, z: Tensor) -> Tensor:
        """States in data units."""
        found: Tensor = self.model.outward(self.root.color(z))
        return found

    def denoiser(self, c: Any = None, n: int = 1, *, guidance: float = 1.0) -> Denoiser:
        """`E[w_0 | w_t]`. Raises `CapabilityError` for a model without one."""
        return self.model.denoiser(c, n, guidance=guidance, root=self.root)

    def measurement(self, y: Tensor, operator: Operator, noise: Noise) -> Measurement:
        """A measurement in data units as one of white states."""
        shape, units = self.model.event_shape, self.model.known_units()
        plain = Measurement.of(y, operator, noise, shape, units)
        kind = _ColoredLinear if isinstance(operator, LinearOperator) else _Colored
        # Where the white state is zero, the data are at their shift.
        origin = torch.as_tensor(plain.shift / plain.scale).expand(shape)
        shift = self.root.whiten(origin.unsqueeze(0))[0]
        return Measurement(y, kind(operator, self.root, plain.scale), noise, shape, shift)


def in_white(model: GenerativeModel) -> GenerativeModel | WhiteCoordinates:
    """The model itself, or, where its noise is colored and has a root, `WhiteCoordinates`."""
    shape = model.event_shape
    root = None if shape is None else model.space.noise_root(shape)
    return model if root is None else WhiteCoordinates(model, root)


class _Colored(Operator):
    """`A(scale R w)`."""

    def __init__(self, operator: Operator, root: NoiseRoot, scale: Tensor | float) -> None:
        self.operator, self.root, self.scale = operator, root, scale

    def observed_shape(self, event_shape: tuple[int, ...]) -> tuple[int, ...]:
        """That of the operator."""
        return self.operator.observed_shape(event_shape)

    def __call__(self, w: Tensor) -> Tensor:
        """The measurements of white states."""
        return self.operator(self.scale * self.root.color(w))


class _ColoredLinear(_Colored, LinearOperator):
    """The same, with a transpose."""

    def adjoint(self, u: Tensor, event_shape: tuple[int, ...]) -> Tensor:
        """`R^T scale A^T u`."""
        back = self.scale * self.operator.adjoint(u, event_shape)  # type: ignore[attr-defined]
        return self.root.transpose(back)
