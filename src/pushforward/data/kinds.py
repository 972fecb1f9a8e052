"""What the columns of a table may be: numbers, counts, dates, booleans or words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

__all__ = ["DATES", "KINDS", "START", "Kind", "date_number", "units_since", "whole"]

KINDS = ("number", "integer", "count", "date", "boolean", "category")
"""The names of kinds: any numbers, whole ones, whole ones from 0, dates and times, two words, and
words or codes without an order."""

DATES = (
    *("%Y-%m-%d", "%d.%m.%Y", "%Y/%m/%d", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y"),
    *("%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"),
    *("%d.%m.%Y %H:%M", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M", "%H:%M", "%H:%M:%S"),
)
"""The forms of dates and times that are tried: a cell fits one that writes it as it is."""

START = datetime(1900, 1, 1)
"""Where `strptime` puts a time without a date; dates are counted from here."""


@dataclass(frozen=True)
class Kind:
    """What a column is.

    Args:
        name: one of `KINDS`.
        form: of dates, as `strptime` reads it.

    >>> Kind("date", "%d.%m.%Y").unit
    86400
    """

    name: str
    form: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.form}".strip()

    @property
    def unit(self) -> int:
        """The seconds of the smallest step of a date."""
        return 1 if "%S" in self.form else 60 if "%M" in self.form else 86_400

    @property
    def numeric(self) -> bool:
        """Whether its values are numbers."""
        return self.name not in ("boolean", "category")


def whole(cell: str) -> bool:
    """Whether a cell is a whole number as it is written.

    >>> whole("12"), whole("12.0")
    (True, False)
    """
    return re.fullmatch(r"\s*[+-]?\d+\s*", cell) is not None


def date_number(cell: str, form: str) -> datetime | None:
    """The moment that a cell names, if the form writes it as it is.

    >>> date_number("3.2.2024", "%d.%m.%Y"), date_number("03.02.2024", "%d.%m.%Y").day
    (None, 3)
    """
    text = cell.strip()
    try:
        moment = datetime.strptime(text, form)
        return moment if moment.strftime(form) == text else None
    except ValueError:
        return None


def units_since(moment: datetime, unit: int) -> float:
    """How many units of some seconds a moment lies after 1900."""
    return (moment - START).total_seconds() // unit
