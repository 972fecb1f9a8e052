"""How a table of text or of cells is written, so that another can be written alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Dialect"]


@dataclass(frozen=True)
class Dialect:
    """How a table of text, or in a spreadsheet, is written.

    Args:
        suffix: of the file, such as `.csv` or `.csv.gz`: others of this kind are written alike.
        mark: what parts the cells of a line.
        decimal: the decimal mark.
        encoding: of the text.
        header: whether the first line names the columns.
        skipped: the lines that are no part of the table, such as one of units, by their numbers
            from 1; the cells of a spreadsheet are parted by tabs.
        sheet: the name of the sheet.

    >>> dialect = Dialect(".csv", ";", ",", skipped={2: "cm;kg"})
    >>> Dialect.from_description(dialect.describe()) == dialect
    True
    """

    suffix: str
    mark: str = ","
    decimal: str = "."
    encoding: str = "utf-8"
    header: bool = True
    skipped: Mapping[int, str] | None = None
    sheet: str | None = None

    def describe(self) -> dict[str, Any]:
        """Plain values that YAML and JSON hold."""
        return {**asdict(self), "skipped": dict(self.skipped) if self.skipped else None}

    @classmethod
    def from_description(cls, described: Mapping[str, Any]) -> Dialect:
        """The dialect that `describe` described; JSON has made words of the numbers of lines."""
        lines = described.get("skipped")
        skipped = {int(number): text for number, text in lines.items()} if lines else None
        return cls(**{**described, "skipped": skipped})
