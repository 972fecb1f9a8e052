"""Which models learn what: those of numbers, and those of tables by the kinds of their columns."""

from __future__ import annotations

from pushforward import registry

__all__ = ["OF_NUMBERS"]

OF_NUMBERS = tuple(
    name
    for name in registry.names("models")
    if not registry.find("models", name).learns_kinds
    and not registry.find("models", name).learns_without_data
)
"""Models of plain numbers; tables by kinds have tests of their own."""
