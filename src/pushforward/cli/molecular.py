"""What is chosen for molecules, where nothing else is said."""

from __future__ import annotations

from typing import Any

__all__ = ["with_molecules"]


def with_molecules(values: dict[str, Any]) -> None:
    """Leave molecules in Ångström, in which their positions and types have the scales that suit.

    Changes the values of a recipe: `train.standardize` becomes false. In units of its own
    deviation, the coordinate of a rare element would be far from all others.
    """
    from pushforward.data.molecule_files import is_molecules

    data = values.get("data")
    if isinstance(data, dict) and is_molecules(data.get("source")):
        train = values.setdefault("train", {})
        if isinstance(train, dict):
            train.setdefault("standardize", False)
