"""What a model keeps of the description of its data, so that samples can be written as these were.

A model does not know what data are: it carries the description as plain values.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["lasting"]

_KEPT = ("event_shape", "kind", "levels", "value_range", "schema", "counts", "origin")


def lasting(data: Mapping[str, Any]) -> dict[str, Any]:
    """The part of `Data.describe()` that goes wherever the model goes: not where the data lay.

    >>> lasting({"levels": None, "n": 9, "origin": {"source": "/home/me/a.csv", "decimal": ","}})
    {'levels': None, 'origin': {'source': 'a.csv', 'decimal': ','}}
    """
    kept = {key: data[key] for key in _KEPT if key in data}
    origin = kept.get("origin")
    if origin is not None:
        kept["origin"] = {**origin, "source": Path(str(origin["source"])).name}
    return kept
