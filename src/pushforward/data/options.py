"""Which options of `load` were given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["given_options"]


def given_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are neither `None` nor `False`; an array is one, whatever its numbers are.

    >>> given_options({"label": None, "header": False, "window": 8})
    {'window': 8}
    """
    return {
        name: value for name, value in options.items() if value is not None and value is not False
    }
