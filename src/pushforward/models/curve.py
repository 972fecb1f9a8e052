"""What a model has noted during training."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Curve"]


class Curve(NamedTuple):
    """Numbers that a model has noted during training, for its report.

    Args:
        title: of the section.
        series: points `(x, y)` by name.
        across: what `x` is.
        note: what the reader should know.
    """

    title: str
    series: dict[str, list[tuple[float, float]]]
    across: str
    note: str
