"""A model of patches on the domain that they were cut from, or a larger one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pushforward import nn as nets
from pushforward._patches import Patches
from pushforward.config import arguments
from pushforward.errors import CapabilityError, InputError
from pushforward.models.conditional_source import ConditionalSource
from pushforward.models.model import GenerativeModel
from pushforward.models.relocated import relocated, require_relocatable
from pushforward.models.transport_map import TransportMap
from pushforward.spaces import Fields

__all__ = ["on_domain"]


def on_domain(
    model: GenerativeModel,
    sizes: Sequence[int],
    *,
    overlap: int | Sequence[int],
    periodic: Sequence[bool] = (),
    source: Tensor | None = None,
) -> Any:
    """A model that was trained on patches, for fields of a larger domain: it shares the network and
    has the same units.

    At every step the network answers for overlapping patches, and its answers are blended. Frames
    that a forecast is given are cut like the state.

    Args:
        model: of fields in patches, such as of `data.in_patches`.
        sizes: of the domain, `(H, W)`.
        overlap: cells that neighboring patches share at least (`nn.Blended`).
        periodic: which axes of the domain have ends that meet.
        source: fields of the domain, for a model that starts from data, to draw from.

    Raises `CapabilityError` for a model of something else, `InputError` for one with masks or
    weights of cells, which belong to a place, and for a domain smaller than a patch.

    >>> from pushforward.models import Diffusion
    >>> from pushforward.processes import Gaussian
    >>> process = Gaussian(space=Fields())
    >>> model = Diffusion(nets.UNet(width=8, blocks=1), process, event_shape=(1, 8, 8))
    >>> on_domain(model, (16, 24), overlap=4).sample(2, steps=2, seed=0).shape
    torch.Size([2, 1, 16, 24])
    """
    model = require_relocatable(model, "put together from patches")
    space = model.space
    if not isinstance(space, Fields):
        raise CapabilityError(
            f"a domain is put together from patches of fields, and the states of this "
            f"{type(model).__name__} are of {space}: make it with a space of spaces.Fields"
        )
    if space.mask is not None or space.weights is not None:
        raise InputError(
            "the patches have masks or weights of cells, which belong to one place of the domain"
        )
    channels, *size = model.event_shape
    turns = tuple(map(bool, periodic)) or (False,) * len(size)
    # Sizes and overlap are looked at before anything is made.
    whole = Patches.of(tuple(map(int, sizes)), tuple(size), overlap, turns)
    changed: dict[str, Any] = {}
    start = arguments(model).get("start")
    if isinstance(start, ConditionalSource):
        changed["start"] = start.on(whole.sizes)
    begins = isinstance(model, TransportMap) and model.has_source
    if begins and source is None:
        raise InputError(
            f"this {type(model).__name__} starts from data, and knows patches of them alone: give "
            "source=, fields of the whole domain"
        )
    if begins:
        changed["source_rows"] = 0

    def blended(net: nn.Module) -> nn.Module:
        if not isinstance(net, nets.PictureContext):
            return nets.Blended(net, tuple(size), overlap, turns)
        if net.shape[1:] != tuple(size):
            raise InputError(
                f"this network is told pictures of {net.shape[1:]} cells beside patches of "
                f"{tuple(size)}: those that it is told must be cut like the state"
            )
        # What it is told lies beside the state, and is cut with it.
        inner = nets.Blended(net.net, tuple(size), overlap, turns)
        height, width = whole.sizes
        return nets.PictureContext(inner, (net.shape[0], height, width))

    wider = type(space)(periodic=turns, names=space.names, upward=space.upward)
    found = relocated(model, wider, (channels, *whole.sizes), blended, **changed)
    if begins and source is not None:
        # Of a single field a copy beside it: fewer than two rows are no source.
        found.keep_source(source if len(source) > 1 else torch.cat([source, source]))
    return found
