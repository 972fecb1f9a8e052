"""The conditional models that a posterior can be learned by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from pushforward import config
from pushforward.data import Data
from pushforward.errors import InputError
from pushforward.models import Diffusion, FlowMatching, GenerativeModel, NormalizingFlow
from pushforward.processes import Gaussian
from pushforward.sbi.networks import PosteriorNetwork
from pushforward.schedules import Cosine

__all__ = ["inner_model"]


def inner_model(
    parameters: int, features: int, *, method: str = "npe", **options: Any
) -> GenerativeModel:
    """The conditional model of a method, of vectors of so many numbers, not yet trained.

    `options` are those of the method. Raises `InputError` for what there is not.
    """
    if method not in _METHODS:
        raise InputError(f"a method is one of {', '.join(_METHODS)}, not {method!r}")
    make = _METHODS[method]
    config.check_options(options, list(config.understood(make, **dict.fromkeys(_OPTIONS))))
    return make(parameters, features, **options)


def _flow(parameters: int, features: int, *, kind: str = "spline-coupling") -> GenerativeModel:
    shapes = Data(torch.zeros(2, parameters), c=torch.zeros(2, features))
    return NormalizingFlow.for_data(shapes, kind=kind)


def _score(
    parameters: int,
    features: int,
    *,
    width: int = 128,
    depth: int = 4,
    model: dict[str, Any] | None = None,
) -> GenerativeModel:
    net = PosteriorNetwork(parameters, features, width, depth)
    options = {"process": Gaussian(Cosine()), "label_dropout": 0.0, "event_shape": parameters}
    return Diffusion(net, **{**options, **(model or {})})


def _velocity(
    parameters: int,
    features: int,
    *,
    width: int = 128,
    depth: int = 4,
    model: dict[str, Any] | None = None,
) -> GenerativeModel:
    net = PosteriorNetwork(parameters, features, width, depth)
    options = {"path": "trigonometric", "label_dropout": 0.0, "event_shape": parameters}
    return FlowMatching(net, **{**options, **(model or {})})


_METHODS: dict[str, Callable[..., GenerativeModel]] = {
    "npe": _flow,
    "npse": _score,
    "fmpe": _velocity,
}
_OPTIONS = ("kind", "width", "depth", "model")
