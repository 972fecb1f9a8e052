"""The states that a model between two laws passes on its way."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pushforward import registry, samplers
from pushforward._random import RowNoise, resolve
from pushforward.errors import InputError
from pushforward.models import requests
from pushforward.models.two_ended import TwoEnded, one_seed
from pushforward.protocols import Sampler
from pushforward.samplers.adaptive import Adaptive

__all__ = ["trajectories"]


@torch.no_grad()
def trajectories(
    model: TwoEnded,
    a: Tensor,
    c: Any = None,
    *,
    sampler: str | Sampler | None = None,
    steps: int = 20,
    seed: int = 0,
) -> Tensor:
    """States from the source `(B, *event)` to the target, `(steps + 1, B, *event)`.

    In data units, the start included; where the source is noise, the start is put into them too.
    The arguments are those of `model.forward`, and the last states its result. Raises `InputError`
    for a sampler that chooses its own steps.

    >>> import pushforward as pf
    >>> model = pf.SchrodingerBridge(pf.nn.MLP(2, width=8, num_classes=2), event_shape=2)
    >>> trajectories(model, torch.zeros(3, 2), steps=4).shape
    torch.Size([5, 3, 2])
    """
    z, context = model._entered(a), model._context(c, len(a))
    rule = model.default_sampler if sampler is None else registry.resolve("samplers", sampler)
    if isinstance(rule, Adaptive):
        raise InputError("an adaptive sampler chooses its own steps: take another to see them")
    times = model._grid(requests.solver_steps(steps, False))
    drawn = one_seed(resolve(seed, None, model.device))
    noise = RowNoise(drawn, slice(0, len(z)), z.device)
    with model._evaluating():
        transport = model._transport(context, "target")
        states = samplers.trajectory(rule, transport, z, times, generator=noise)
    return torch.stack([model._units()(x) for x in states])
