"""Models as a certificate sees them: a prediction, a process, and units."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pushforward import grids
from pushforward.certificates.laws import KnownLaw, NormalLaw
from pushforward.distributions import GaussianMixture
from pushforward.errors import CapabilityError, InputError
from pushforward.models import Diffusion
from pushforward.models.evaluation_mode import evaluation_mode
from pushforward.processes import Gaussian
from pushforward.protocols import Transport

__all__ = ["Subject", "law_in_units", "subject_of"]


class Subject(NamedTuple):
    """What is certified.

    Args:
        predict: `E[x_0 | x]` of vectors `(B, d)` in float64 and a time, in units of the process.
        process: a Gaussian process with white noise.
        grid: where samplers step.
        inward: data in units of the process.
        outward: and back.
        origin: the state zero.
    """

    predict: Callable[[Tensor, float], Tensor]
    process: Gaussian
    grid: str | grids.Grid
    inward: Callable[[Tensor], Tensor]
    outward: Callable[[Tensor], Tensor]
    origin: Tensor


def subject_of(model: Diffusion | Transport, c: Any, dtype: torch.dtype) -> Subject:
    """The parts of a model, asked in its own precision, or a `Transport` in one that is given.

    Raises `CapabilityError` for a model that has no certificate.
    """
    if isinstance(model, Transport):
        return _bare(model, dtype)
    if not isinstance(model, Diffusion) or not isinstance(model.process, Gaussian):
        name = type(model).__name__
        if isinstance(model, Diffusion):
            name += f" on {type(model.process).__name__}"
        raise CapabilityError(
            f"a certificate is that of a Diffusion on a Gaussian process, whose sampler follows a "
            f"reverse SDE, not of {name}: judge it by samples and likelihoods, as evaluate does"
        )
    _white(model.process)
    shape, units = tuple(model.event_shape), model.known_units()
    denoiser = model.denoiser(c)
    # One label for all: whatever the number of rows, the context is that of the first.
    denoised = denoiser.model(slice(0, 1))

    def predict(x: Tensor, t: float) -> Tensor:
        with evaluation_mode(model):
            parts = [
                denoised(part.to(model.device, model.dtype).reshape(-1, *shape), t)
                for part in x.split(_ROWS)
            ]
        return torch.cat(parts).reshape(x.shape).to(x)

    return Subject(
        predict, model.process, model.grid, model.inward, lambda z: units(z.to(model.dtype)),
        torch.zeros(shape, dtype=model.dtype),
    )  # fmt: skip


_ROWS = 512
"""States that go through a network at a time."""


def _bare(transport: Transport, dtype: torch.dtype) -> Subject:
    process = transport.process
    if not isinstance(process, Gaussian):
        raise CapabilityError(
            f"a certificate is that of a Gaussian process, not of {type(process).__name__}"
        )
    _white(process)

    def predict(x: Tensor, t: float) -> Tensor:
        return transport.model(x.to(dtype), t).to(x)

    def same(x: Tensor) -> Tensor:
        return x

    return Subject(predict, process, process.grid, same, same, torch.zeros(1))


def _white(process: Gaussian) -> None:
    if not process.space.white:
        raise CapabilityError(
            f"certificates are for white noise so far, not for that of {process.space}"
        )


def law_in_units(law: GaussianMixture, subject: Subject, z: Tensor) -> KnownLaw:
    """A mixture in units of the data as one in units of the process, in double precision.

    Raises `InputError` for one of another dimension than the data.
    """
    if not isinstance(law, GaussianMixture):
        raise InputError(f"the law is a distributions.GaussianMixture, not {type(law).__name__}")
    d = law.means.shape[1]
    if z[0].numel() != d:
        raise InputError(f"the law is one of {d} numbers, and the data have {z[0].numel()} each")
    eye, shape = torch.eye(d, dtype=torch.float64), z.shape[1:]
    corners = torch.cat([0 * eye[:1], eye]).reshape(-1, *shape)
    moved = subject.inward(corners).double().reshape(-1, d)
    offset, matrix = moved[0], (moved[1:] - moved[0]).mT
    rotation = eye if law.rotation is None else law.rotation.double()
    spread = (rotation * law.variances.double().unsqueeze(-2)) @ rotation.mT
    means = offset + law.means.double() @ matrix.mT
    plain = law.rotation is None and bool((matrix == eye).all())
    covariances = law.variances.double() if plain else matrix @ spread @ matrix.mT
    known = GaussianMixture(means, covariances, law.weights.double())
    return NormalLaw(known) if len(means) == 1 else KnownLaw(known)
