"""Which models learn what: those of numbers, and those of tables or of frames in time."""

from __future__ import annotations

from pushforward import registry

__all__ = ["OF_NUMBERS"]

OF_NUMBERS = tuple(
    name
    for name in registry.names("models")
    if not registry.find("models", name).learns_kinds
    and not registry.find("models", name).learns_without_data
    and not registry.find("models", name).learns_frames
    and not registry.find("models", name).learns_functions
)
"""Models of plain numbers; tables by kinds, of frames and of functions have tests of their own."""
