"""The reversal of a diffusion from any time on, with predictions that may be altered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pushforward import checks, registry
from pushforward.downscaling.downscaler import Progress
from pushforward.errors import CapabilityError, InputError
from pushforward.models.denoiser import Denoiser
from pushforward.models.model import GenerativeModel, finite
from pushforward.models.simulation import simulate
from pushforward.protocols import Transport

__all__ = ["denoiser_of", "reversed_from"]

Altered = Callable[[Tensor, slice], Tensor]
"""Predictions `E[x_0 | x_t]` in the units of the model, and which rows they are of, to others."""


def denoiser_of(model: Any) -> Denoiser:
    """What a model predicts of fields under noise.

    Raises `InputError` for an object without such predictions, and `CapabilityError` for a model
    that has none under white Gaussian noise, or is one of labels or contexts.
    """
    refused = (
        f"a {type(model).__name__} does not predict fields under noise: give a diffusion or flow "
        "of the fine fields, from `pushforward train fine.zarr`"
    )
    if not isinstance(model, GenerativeModel):
        raise InputError(refused)
    try:
        found: Denoiser = model.denoiser()
    except CapabilityError as error:
        raise CapabilityError(f"{refused} ({error})") from None
    return found


@torch.no_grad()
def reversed_from(
    model: Any,
    x: Tensor,
    t: float,
    *,
    steps: int,
    seed: int,
    sampler: str = "exponential",
    altered: Altered = lambda free, rows: free,
    progress: Progress | None = None,
) -> Tensor:
    """States at a time of the noise carried back to data, in data units.

    Args:
        model: with a `denoiser`.
        x: states at time `t`, `(B, C, H, W)`, in the units of the model.
        t: the time.
        steps: how many, of which the last is a prediction.
        seed: of the noise, which belongs to the rows.
        sampler: a short name.
        altered: what becomes of each prediction.
        progress: called with the number of finished and of all steps.

    Raises `InputError` for arguments that do not fit.
    """
    known = denoiser_of(model)
    steps = checks.whole("steps", steps, 2)
    times = known.grid(known.process.clock, steps - 1, start=t, stop=min(known.stop, 0.5 * t))

    def transport(rows: slice) -> Transport:
        free = known.model(rows)

        def predicted(x_t: Tensor, t: Any, c: Any = None) -> Tensor:
            return altered(free(x_t, t, c), rows)

        return Transport(predicted, known.process)

    with model.evaluating():
        found = simulate(
            registry.resolve("samplers", sampler), transport, x, times, seed=seed, finish=True,
            progress=progress,
        )  # fmt: skip
    fields: Tensor = model.outward(finite(found))
    return fields
