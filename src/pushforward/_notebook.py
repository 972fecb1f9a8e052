"""What notebooks show of an object: a picture or a table that a higher floor draws.

`report` draws, and lies above what is drawn: data, models and runs. These only know that they can
be shown. They ask for it by name at the moment a notebook asks them, as `registry` finds what its
names stand for, so that none of them depends on how it is drawn or loads what draws it.
"""

from __future__ import annotations

from importlib import import_module

__all__ = ["Displayed"]


class Displayed:
    """Shown in notebooks as `pushforward.report.displays` has it, and in a line elsewhere."""

    def _repr_html_(self) -> str | None:
        """What a notebook shows; with `None` it shows the `repr`."""
        found: str | None = import_module("pushforward.report.displays").html_of(self)
        return found
