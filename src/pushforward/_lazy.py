"""Packages whose names are imported when they are first used (PEP 562)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["attach"]


def attach(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package, whose names come from the modules `homes`.

    >>> find, names = attach("pushforward", {"LogProb": "estimates"})
    >>> find("LogProb").__name__, names()
    ('LogProb', ['LogProb'])
    """

    def __getattr__(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = getattr(import_module(f"{package}.{homes[name]}"), name)
        # Found at once the next time.
        setattr(sys.modules[package], name, found)
        return found

    def __dir__() -> list[str]:
        return sorted(homes)

    return __getattr__, __dir__
