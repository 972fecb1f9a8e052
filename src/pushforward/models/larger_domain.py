"""A diffusion of patches on the domain that they were cut from, or a larger one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pushforward import nn as nets
from pushforward._patches import Patches
from pushforward.errors import InputError
from pushforward.models.diffusion import Diffusion
from pushforward.processes.reading import AffineReading
from pushforward.spaces import Fields

__all__ = ["on_domain"]


def on_domain(
    model: Diffusion,
    sizes: Sequence[int],
    *,
    overlap: int | Sequence[int],
    periodic: Sequence[bool] = (),
) -> Diffusion:
    """A diffusion that was trained on patches, for fields of a larger domain: it shares the network
    and has the same units.

    Args:
        model: of fields in patches, such as of `data.in_patches`.
        sizes: of the domain, `(H, W)`.
        overlap: cells that neighboring patches share at least (`nn.Blended`).
        periodic: which axes of the domain have ends that meet.

    Raises `InputError` for a model of something else, one with masks or weights of cells, which
    belong to a place, and a domain smaller than a patch.

    >>> from pushforward.processes import Gaussian
    >>> process = Gaussian(space=Fields())
    >>> model = Diffusion(nets.UNet(width=8, blocks=1), process, event_shape=(1, 8, 8))
    >>> on_domain(model, (16, 24), overlap=4).sample(2, steps=2, seed=0).shape
    torch.Size([2, 1, 16, 24])
    """
    process: Any = getattr(model, "process", None)
    reading = model.predictor.reading if isinstance(model, Diffusion) else None
    if not (isinstance(reading, AffineReading) and isinstance(process.space, Fields)):
        raise InputError("a domain is put together from patches of fields by a Gaussian diffusion")
    space = process.space
    if space.mask is not None or space.weights is not None:
        raise InputError(
            "the patches have masks or weights of cells, which belong to one place of the domain"
        )
    channels, *size = model.event_shape
    turns = tuple(map(bool, periodic)) or (False,) * len(size)
    net = nets.Blended(model.predictor.net, tuple(size), overlap, turns)
    wider = type(space)(periodic=turns, names=space.names, upward=space.upward)
    # Sizes and overlap are looked at before anything is made.
    Patches.of(tuple(map(int, sizes)), tuple(size), overlap, turns)
    found = Diffusion(
        net, replace(process, space=wider), predict=reading.table, weight=model.weight,
        label_dropout=0.0, grid=model.grid, event_shape=(channels, *map(int, sizes)),
    )  # fmt: skip
    found.known_units().load_state_dict(model.known_units().state_dict())
    return found.train(model.training)
