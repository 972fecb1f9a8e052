"""Models of patches, on the domain that these were cut from."""

from __future__ import annotations

from typing import Any

from pushforward.data import Schema
from pushforward.errors import InputError
from pushforward.models import TransportMap, on_domain

__all__ = ["on_whole_domain"]


def on_whole_domain(model: Any, schema: Schema, source: Any = None) -> Any:
    """A model on the domain of its data, of which these may be patches.

    A model that starts from data draws from the `source`, fields of the domain. Raises `InputError`
    without one.
    """
    if schema.patches is None:
        return model
    if source is None and isinstance(model, TransportMap) and model.has_source:
        raise InputError(
            f"this {type(model).__name__} starts from data, and knows patches of them alone: "
            "`pushforward translate RUN DATA` carries whole fields over"
        )
    return on_domain(model, **schema.patches.placing, source=source)
