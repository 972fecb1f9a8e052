"""Optional packages, imported where they are used and asked for by name when missing."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from pushforward.errors import MissingExtraError

__all__ = ["require"]


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import an optional `module`, or say which extra installs it.

    Raises `MissingExtraError` naming the purpose and the command that installs the extra.

    >>> require("math", extra="plots", purpose="draw samples").sqrt(4.0)
    2.0
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        # A package that is there but lacks a dependency of its own is a different fault.
        if error.name is None or not module.startswith(error.name):
            raise
        raise MissingExtraError(
            f"to {purpose}, {module.partition('.')[0]} is needed: "
            f"pip install 'pushforward[{extra}]'"
        ) from None
