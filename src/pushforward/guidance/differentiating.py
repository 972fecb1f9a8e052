"""What guidance needs of a model beside its prediction: noise levels and derivatives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from pushforward._shapes import Weight, like
from pushforward.errors import CapabilityError, InputError
from pushforward.protocols import GaussianKernels, Model, Time, follows

__all__ = [
    "check_process",
    "evaluate",
    "levels",
    "pullback",
    "recording",
    "tweedie_gain",
    "watched",
]


def check_process(process: Any, name: str) -> None:
    """Raise `CapabilityError` unless a process adds white Gaussian noise."""
    if not follows(process, GaussianKernels):
        raise CapabilityError(
            f"{name} guides models of Gaussian processes, not of {type(process).__name__}"
        )
    if not process.space.white:
        raise CapabilityError(f"{name} guides models of white noise, not of {process.space}")


def levels(process: GaussianKernels, t: Time) -> tuple[Weight, Weight]:
    """`alpha_t` and `sigma_t`. Raises `InputError` where no signal is left."""
    alpha, sigma = process.schedule.values(t)
    if isinstance(alpha, float) and alpha == 0:
        raise InputError(
            f"no signal at t = {t}, so nothing to guide: start the grid at {process.schedule.t_max}"
        )
    return alpha, sigma


def tweedie_gain(process: GaussianKernels, x_t: Tensor, t: Time) -> Weight:
    """`sigma_t^2 / alpha_t`, shaped to multiply states.

    By Tweedie's formula `E[x_0 | x_t, y] = E[x_0 | x_t] + (sigma^2 / alpha) grad log p(y | x_t)`,
    and `Cov[x_0 | x_t] = (sigma^2 / alpha) d E[x_0 | x_t] / d x_t` (Efron 2011).
    """
    alpha, sigma = levels(process, t)
    return like(sigma**2 / alpha, x_t)


@contextmanager
def recording() -> Iterator[None]:
    """Operations are recorded for derivatives, whatever mode the caller is in."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


def watched(x: Tensor) -> Tensor:
    """A copy of states to differentiate in, even of those of an inference mode."""
    return (x.clone() if x.is_inference() else x.detach()).requires_grad_()


def evaluate(model: Model, x_t: Tensor, t: Time, c: Any) -> tuple[Tensor, Tensor]:
    """States, and the prediction at them, which can be differentiated in them.

    Raises `CapabilityError` for a model whose prediction has no derivative.
    """
    with recording():
        x = watched(x_t)
        prediction = model(x, t, c)
    if not prediction.requires_grad:
        raise CapabilityError(
            "this method differentiates the model, whose prediction has no derivative in x_t: "
            "diffpir, projection and repaint need none"
        )
    return x, prediction


def pullback(prediction: Tensor, x: Tensor, v: Tensor, *, keep: bool = False) -> Tensor:
    """`J^T v` for the Jacobian `J` of a prediction; `keep` allows for more of them."""
    (found,) = torch.autograd.grad(prediction, x, v, retain_graph=keep, materialize_grads=True)
    return found
