"""The target of a sampler: by its name, as an object, or made of a function."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from pushforward import registry, state
from pushforward.errors import InputError
from pushforward.targets import Target

__all__ = ["target_of"]


def target_of(
    target: Any,
    event_shape: int | tuple[int, ...] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Target:
    """A target by its name, with its options; as it is; or of a function.

    Raises `InputError` for what is none of these, a name or an option that does not exist, a
    missing shape, or one that is not that of the target.

    >>> target_of("funnel", options={"dim": 3})
    Target(funnel, (3,))
    >>> target_of(lambda x: -x.square().sum(-1), 2)
    Target(<lambda>, (2,))
    """
    if isinstance(target, str):
        make = registry.find("targets", target)
        try:
            inspect.signature(make).bind(**(options or {}))
        except TypeError as error:
            raise InputError(f"the target {target}: {error}") from None
        found = make(**(options or {}))
    elif options is not None:
        raise InputError("options are those of a target that is given by its name")
    elif isinstance(target, Target):
        found = target
    elif callable(target):
        if inspect.signature(target).parameters:
            return Target(target, event_shape, name=getattr(target, "__name__", "target"))
        found = target()
    else:
        raise InputError(f"a target is a name, a Target or a function, not {type(target).__name__}")
    if not isinstance(found, Target):
        raise InputError(f"a {type(found).__name__} is no Target")
    if event_shape is not None and state.shape_from(
        (event_shape,) if isinstance(event_shape, int) else tuple(event_shape)
    ) != found.event_shape:  # fmt: skip
        raise InputError(
            f"states of {found.name} have shape {found.event_shape}, not {event_shape}"
        )
    return found
