"""One column of a table: its name, its type, and the values that it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pushforward.errors import InputError

__all__ = ["Column"]


@dataclass(frozen=True)
class Column:
    """One column of a table, as the file has it.

    Args:
        name: by which it is found in other files.
        dtype: the type of the values in the file, a numpy dtype name such as `"float64"`,
            `"int64"` or `"bool"`; `"str"` for words.
        levels: the sorted distinct values, where there are few of them or they are booleans, so
            that samples can be rounded to them; `None` for any other column.
        words: the spellings of the levels in the file, such as `("no", "yes")`, one for each;
            empty where they are numbers.
        value_range: the smallest and the largest value of a column of integers without levels.
        decimals: the digits after the point of a column that samples are rounded to.
    """

    name: str
    dtype: str = "float64"
    levels: tuple[float, ...] | None = None
    words: tuple[str, ...] = ()
    value_range: tuple[float, float] | None = None
    decimals: int | None = None

    def __post_init__(self) -> None:
        if self.words and len(self.words) != len(self.levels or ()):
            raise InputError(
                f"column {self.name!r} has {len(self.words)} words for "
                f"{len(self.levels or ())} levels"
            )

    @property
    def categorical(self) -> bool:
        """Whether its levels are words that have no order."""
        return self.dtype == "str"

    def describe(self) -> dict[str, Any]:
        """Plain values that YAML and JSON hold, without what is empty."""
        described: dict[str, Any] = {"name": self.name, "dtype": self.dtype}
        if self.levels is not None:
            described["levels"] = list(self.levels)
        if self.words:
            described["words"] = list(self.words)
        if self.value_range is not None:
            described["value_range"] = list(self.value_range)
        if self.decimals is not None:
            described["decimals"] = self.decimals
        return described

    @classmethod
    def from_description(cls, described: Mapping[str, Any]) -> Column:
        """The column that `describe` described."""
        levels, limits = described.get("levels"), described.get("value_range")
        return Column(
            str(described["name"]),
            described.get("dtype", "float64"),
            None if levels is None else tuple(levels),
            tuple(described.get("words") or ()),
            None if limits is None else (limits[0], limits[1]),
            described.get("decimals"),
        )
