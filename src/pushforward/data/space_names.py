"""Spaces by the names that the command line knows, in the place of the objects."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from pushforward import registry
from pushforward.data.dataset import Data
from pushforward.data.functions import FUNCTIONS, SPACES
from pushforward.errors import InputError

__all__ = ["reading_space_names", "space_named"]

F = TypeVar("F", bound=Callable[..., Data])


def space_named(choice: Any) -> Any:
    """The space of a name of `pushforward list spaces`, or the product of several with commas
    between; a space as it is, and `None` for none.

    Raises `InputError` for an unknown name and for what is no space.

    >>> type(space_named("sphere")).__name__, type(space_named("so3, euclidean")).__name__
    ('Sphere', 'Product')
    """
    if choice is None or callable(getattr(choice, "from_arrays", None)):
        return choice
    if not isinstance(choice, str):
        known = ", ".join(registry.names("spaces"))
        raise InputError(f"space= is one of pushforward.spaces or a name, {known}, not {choice!r}")
    found = [registry.resolve("spaces", one.strip()) for one in choice.split(",")]
    return registry.find("spaces", "product")(*found) if len(found) > 1 else found[0]


def reading_space_names(load: F) -> F:
    """A reader of data whose `space=` may be a name; that of functions asks for their kind."""

    @wraps(load)
    def reading(source: Any, *, space: Any = None, **options: Any) -> Data:
        if isinstance(space, str) and space in SPACES:
            # What the data are functions of stands in the file, and so does their space.
            return load(source, **{"kind": FUNCTIONS, **options})
        return load(source, space=space_named(space), **options)

    return cast(F, reading)
