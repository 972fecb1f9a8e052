"""A model with the same weights and units where states have another shape."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from torch import nn

from pushforward.config import arguments
from pushforward.errors import CapabilityError
from pushforward.models.model import GenerativeModel
from pushforward.models.predictor import Predictor
from pushforward.spaces import Space

__all__ = ["relocated", "require_relocatable"]


def require_relocatable(model: Any, purpose: str) -> GenerativeModel:
    """The model itself. Raises `CapabilityError` for what cannot be made again elsewhere, or has
    seen no data yet."""
    if not isinstance(model, GenerativeModel) or not model.networks:
        raise CapabilityError(
            f"a {type(model).__name__} cannot be {purpose}: a Diffusion, a FlowMatching, a "
            "SchrodingerBridge, a PointMatching or a FrameRegression can"
        )
    if model.event_shape is None:
        raise CapabilityError(
            f"a {type(model).__name__} cannot be {purpose} before its states have a shape: train "
            "it, or give event_shape="
        )
    return model


def relocated(
    model: GenerativeModel,
    space: Space,
    event_shape: tuple[int, ...],
    network: Callable[[nn.Module], nn.Module],
    **changed: Any,
) -> Any:
    """A model made again with other networks on another space, with all that it has learned.

    Args:
        model: with `networks`, whose units fit states of the other shape too, as those of each
            variable do.
        space: in the place of its own.
        event_shape: of its states.
        network: makes each of the other networks, which shares its weights with the one that it is
            given, or has a copy of them in the same order.
        changed: other options of the class.
    """
    own = arguments(model)
    for name in model.networks:
        if own.get(name) is not None:
            own[name] = network(own[name])
    placed: Any = own.get(model.space_from)
    whole = placed is None or isinstance(placed, Space)
    own[model.space_from] = space if whole else dataclasses.replace(placed, space=space)
    made = type(model)(**own | {"event_shape": event_shape} | changed)
    # Units, those of contexts, averages of weights; what a network holds it has been given.
    heads = tuple(f"{name}." for name, part in model.named_modules() if isinstance(part, Predictor))
    held = model.state_dict()
    kept = {name: held[name] for name in held if not name.startswith(heads)}
    made.load_state_dict(kept, strict=False)
    return made.to(model.device).train(model.training)
