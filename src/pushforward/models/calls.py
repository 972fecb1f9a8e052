"""What every call of a model keeps to, whatever its family."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from functools import wraps
from typing import Any

from pushforward import config
from pushforward.errors import CapabilityError, InputError

__all__ = ["careful", "shape_forgotten_if_refused"]


@contextmanager
def shape_forgotten_if_refused(model: Any) -> Iterator[None]:
    """Take back the event shape that a model learns inside of what fails."""
    known = model._event_shape is not None
    try:
        yield
    except Exception:
        if not known and model._event_shape is not None:
            model.units = model._event_shape = None
            config.forget(model, "event_shape")
        raise


def careful(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method of a model that refuses options it does not have in words, and leaves the model as
    it was if the data do not fit.

    Raises `CapabilityError` for guidance, `InputError` for other options.
    """
    parameters = inspect.signature(method).parameters
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())

    @wraps(method)
    def call(self: Any, *args: Any, **options: Any) -> Any:
        for name in options:
            if name not in parameters and not anything:
                _refuse(type(self).__name__, method.__name__, name, list(parameters)[1:])
        if self._event_shape is not None:
            return method(self, *args, **options)
        with shape_forgotten_if_refused(self):
            return method(self, *args, **options)

    return call


def _refuse(owner: str, method: str, name: str, known: list[str]) -> None:
    if name in ("guidance", "guidance_interval"):
        raise CapabilityError(
            f"a {owner} has no classifier-free guidance: leave {name}= out, or train a Diffusion "
            "with label_dropout=0.1"
        )
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"it takes {', '.join(known)}"
    raise InputError(f"{owner}.{method} takes no {name}=: {hint}")
