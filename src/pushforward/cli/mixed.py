"""What is chosen for a table with columns of all kinds, where nothing else is said."""

from __future__ import annotations

from typing import Any

from pushforward.errors import InputError

__all__ = ["with_kinds"]

_OTHER_DATA = ("label", "given", "space", "coordinates", "kind", "drop_nonfinite", "id")
"""Options that say that the table is one of numbers, with words told apart."""
_TABLE = "table"


def with_kinds(values: dict[str, Any]) -> None:
    """Choose a joint model for a table that has words, dates, truths or missing cells.

    Changes the values of a recipe: `model.class` becomes `table` where no model is named, and
    `data.kinds` becomes `auto` for models that learn by kinds. Tables of numbers alone, and recipes
    that say what to do with the words, stay as they are.

    Raises `InputError` for kinds with a model of plain numbers.
    """
    from pushforward import registry
    from pushforward.data.mixed_tables import is_mixed

    data = values.get("data")
    if not isinstance(data, dict) or "source" not in data or "source" in values:
        return
    model = values.get("model")
    named = model.get("class") if isinstance(model, dict) else model
    if named is None:
        free = not model and not any(data.get(key) not in (None, False) for key in _OTHER_DATA)
        if "kinds" in data or (free and is_mixed(data["source"], data)):
            values["model"] = {**(model or {}), "class": _TABLE}
            data.setdefault("kinds", "auto")
        return
    if named in registry.names("models"):
        by_kinds = getattr(registry.find("models", named), "learns_kinds", False)
        if by_kinds:
            data.setdefault("kinds", "auto")
        elif "kinds" in data:
            raise InputError(
                f"data.kinds are for models of tables: table, copula and bootstrap, not {named}"
            )
