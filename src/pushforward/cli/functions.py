"""`--space functions`: what it says of the data, and of the space that these tell."""

from __future__ import annotations

from typing import Any

from pushforward.config import arguments
from pushforward.data.functions import FUNCTIONS, SPACES
from pushforward.errors import InputError

__all__ = ["as_told", "with_functions"]


def with_functions(values: dict[str, Any]) -> None:
    """Read the data as functions where the space of a model is theirs.

    Changes the values of a recipe: `data.kind` follows `model.space`, and the other way round.
    """
    data, model = values.get("data"), values.get("model")
    if not isinstance(data, dict):
        return
    space = model.get("space") if isinstance(model, dict) else None
    named = space.get("class") if isinstance(space, dict) else space
    if named in SPACES:
        data.setdefault("kind", FUNCTIONS)
        if isinstance(values.get("source"), dict):
            values["source"].setdefault("kind", FUNCTIONS)


def as_told(told: Any, chosen: Any) -> Any:
    """The space that data tell, with what a user chose of it.

    Raises `InputError` for a space of something else.

    >>> from pushforward.spaces import Functions
    >>> as_told(Functions(axes=[[0.0, 1.0]]), Functions(periodic=[True])).periodic
    (True,)
    """
    if not isinstance(chosen, type(told)):
        raise InputError(
            f"the data are functions, and no states of {chosen}: take --space functions"
        )
    known = arguments(told)
    if type(chosen) is not type(told):
        # What noise there is depends on the kind of functions.
        known.pop("noise", None)
    return type(chosen)(**{**known, **arguments(chosen)})
