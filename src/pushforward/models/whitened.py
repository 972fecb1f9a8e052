"""Models of colored noise in coordinates in which their noise is white."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward.errors import CapabilityError
from pushforward.inverse import LinearOperator, Measurement, Noise, Operator
from pushforward.models.denoiser import NO_DENOISER, Denoiser
from pushforward.processes import Gaussian
from pushforward.protocols import Model, Time

__all__ = ["WhiteCoordinates", "in_white", "white_process"]


@dataclass(frozen=True)
class WhiteCoordinates:
    r"""A model of `x = R w` as one of `w`, where `R R^T` is the covariance of its noise.

    `w_t = alpha w_0 + sigma xi` with white `xi`, and `E[w_0 | w_t] = R^{-1} E[x_0 | x_t = R w_t]`:
    whatever guides by white noise, guides `w`. A measurement `A x` is one of `A R w`.

    Args:
        model: with a process of colored noise that has a root.
        root: `R`, of the noise of the space.
    """

    model: Any
    root: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def inward(self, x: Tensor) -> Tensor:
        """States in white coordinates."""
        found: Tensor = self.root.whiten(self.model.inward(x))
        return found

    def outward(self, w: Tensor) -> Tensor:
        """States in data units."""
        found: Tensor = self.model.outward(self.root.color(w))
        return found

    def denoiser(self, c: Any = None, n: int = 1, *, guidance: float = 1.0) -> Denoiser:
        """`E[w_0 | w_t]`. Raises `CapabilityError` without a Gaussian process."""
        process = self.model.process
        if not isinstance(process, Gaussian):
            raise CapabilityError(f"{process} has none: {NO_DENOISER}")
        context = self.model.condition.required(c, n, self.model.device)
        transports = self.model._transport(context, guidance)
        start, stop = process.interval
        white = white_process(process)
        shape = self.model.event_shape

        def model(rows: Any) -> Model:
            return _white(transports(rows).model, self.root)

        return Denoiser(model, white, self.model.grid, white.prior(shape, start), start, stop)

    def measurement(self, y: Tensor, operator: Operator, noise: Noise) -> Measurement:
        """A measurement in data units as one of white states."""
        shape, units = self.model.event_shape, self.model.known_units()
        plain = Measurement.of(y, operator, noise, shape, units)
        kind = _ColoredLinear if isinstance(operator, LinearOperator) else _Colored
        # Where the white state is zero, the data are at their shift.
        origin = torch.as_tensor(plain.shift / plain.scale).expand(shape)
        shift = self.root.whiten(origin.unsqueeze(0))[0]
        return Measurement(y, kind(operator, self.root, plain.scale), noise, shape, shift)


def white_process(process: Any) -> Gaussian:
    """A process of Gaussian noise, with white noise on the same schedule."""
    return Gaussian(process.schedule)


def in_white(model: Any) -> Any:
    """The model itself, or, where its noise is colored and has a root, `WhiteCoordinates`."""
    space = getattr(getattr(model, "process", None), "space", None)
    root = None if space is None or model.event_shape is None else space.noise_root(
        model.event_shape
    )  # fmt: skip
    return model if root is None else WhiteCoordinates(model, root)


def _white(model: Callable[..., Tensor], root: Any) -> Model:
    def predict(x_t: Tensor, t: Time, c: Any = None) -> Tensor:
        found: Tensor = root.whiten(model(root.color(x_t), t, c))
        return found

    return predict


class _Colored(Operator):
    """`A(scale R w)`."""

    def __init__(self, operator: Operator, root: Any, scale: Tensor | float) -> None:
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
        found: Tensor = self.root.transpose(back)
        return found
