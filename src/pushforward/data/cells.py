"""Cells of text as numbers: decimal marks, missing values, booleans and dates."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from pushforward.errors import InputError

__all__ = ["Cells", "as_date", "days_since", "truth"]

MISSING = frozenset({"", "na", "n/a", "null", "none"})

_TRUTHS = (
    *(("false", "true"), ("no", "yes"), ("f", "t"), ("n", "y"), ("off", "on")),
    # As spreadsheets of other languages write them.
    *(("falsch", "wahr"), ("nein", "ja"), ("faux", "vrai"), ("non", "oui"), ("falso", "verdadero")),
)
_DAY = 86_400.0


def truth(cell: str) -> tuple[float, tuple[str, str]] | None:
    """What a boolean in words is, 0 or 1, and the two words in its case; `None` for other text.

    >>> truth(" Yes "), truth("maybe")
    ((1.0, ('No', 'Yes')), None)
    """
    word = cell.strip()
    for pair in _TRUTHS:
        if word.lower() in pair:
            style = str.lower if word.islower() else str.upper if word.isupper() else str.title
            no, yes = (style(known) for known in pair)
            if len(pair[0]) == 1:
                no, yes = (known.upper() if word.isupper() else known for known in pair)
            return float(word.lower() == pair[1]), (no, yes)
    return None


def as_date(cell: str) -> datetime | None:
    """The moment that a date or time in ISO 8601 names; `None` for other text.

    >>> as_date("2024-02-29"), as_date("29.2.2024")
    (datetime.datetime(2024, 2, 29, 0, 0), None)
    """
    text = cell.strip()
    if not re.match(r"\d{4}-?\d{2}-?\d{2}", text):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def days_since(moment: datetime, start: datetime) -> float:
    """The days, with fractions, from `start` to `moment`; what has no zone is in UTC."""
    here, there = (
        when.replace(tzinfo=UTC) if when.tzinfo is None else when for when in (moment, start)
    )
    return (here - there).total_seconds() / _DAY


@dataclass(frozen=True)
class Cells:
    """How numbers are written in a table.

    Args:
        decimal: the decimal mark.
        thousands: what groups the digits before it, if anything may.
        missing: texts and numbers that stand for missing values, beside empty cells, `NA`, `N/A`,
            `null` and `none` in any case.
        since: the day that dates are counted from; without one, dates are no numbers.
        given: the names of columns that may be of words, as those are that a model is told.

    Raises `InputError` for marks that are no single characters or the same, and for a `since` that
    is no date.

    >>> Cells(decimal=",", thousands=".").number("1.234,5")
    1234.5
    >>> Cells(missing=("?", -999), since="2024-01-01").number("2024-01-02T12:00")
    1.5
    """

    decimal: str = "."
    thousands: str | None = None
    missing: Sequence[str | float] | str | float = ()
    since: str | None = None
    given: Sequence[str] = ()
    texts: frozenset[str] = field(init=False, repr=False)
    codes: tuple[float, ...] = field(init=False, repr=False)
    start: datetime | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name, mark in (("decimal", self.decimal), ("thousands", self.thousands)):
            if mark is None and name == "thousands":
                continue
            if not isinstance(mark, str) or len(mark) != 1 or mark.isalnum() or mark in "+-":
                raise InputError(f"{name} is one character such as ',' or '.', not {mark!r}")
        if self.decimal == self.thousands:
            raise InputError(
                f"decimal={self.decimal!r} and thousands={self.thousands!r} are the same: "
                "a number cannot be read with both"
            )
        start = None
        if self.since is not None:
            start = as_date(str(self.since))
            if start is None:
                raise InputError(f"since is a date such as '2000-01-31', not {self.since!r}")
        object.__setattr__(self, "start", start)
        given = [self.missing] if isinstance(self.missing, (str, int, float)) else self.missing
        object.__setattr__(self, "texts", MISSING)
        object.__setattr__(self, "codes", ())
        words, codes = set(MISSING), []
        for code in given:
            try:
                codes.append(self.number(str(code)))
            except ValueError:
                words.add(str(code).strip().lower())
        object.__setattr__(self, "texts", frozenset(words))
        object.__setattr__(self, "codes", tuple(code for code in codes if not math.isnan(code)))

    @property
    def plain(self) -> bool:
        """Whether numbers are written as Python writes them."""
        return self.decimal == "." and self.thousands is None

    def number(self, cell: str) -> float:
        """The number in a cell, NaN for a missing one. Raises `ValueError` for anything else."""
        text = cell.strip()
        try:
            value = float(self._unmarked(text))
        except ValueError:
            if text.lower() in self.texts:
                return math.nan
            moment = None if self.start is None else as_date(text)
            if moment is None or self.start is None:
                raise
            return days_since(moment, self.start)
        if "_" in text:  # Python reads 2020_01 as 202001.
            raise ValueError(cell)
        return math.nan if value in self.codes else value

    def numbers(self, cells: Sequence[str]) -> NDArray[np.float64] | None:
        """The numbers in many cells; `None` if one of them is no number, or is missing as text."""
        try:
            found = np.array(list(map(float if self.plain else self.number, cells)))
        except ValueError:
            return None
        return None if "_" in "".join(cells) else self.without_codes(found)

    def without_codes(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The values with NaN in the place of numbers that stand for missing ones."""
        return np.where(np.isin(values, self.codes), math.nan, values) if self.codes else values

    def is_text(self, cell: str) -> bool:
        """Whether a cell holds neither a number nor a missing value."""
        try:
            self.number(cell)
        except ValueError:
            return True
        return False

    def is_missing(self, cell: str) -> bool:
        """Whether a cell holds a missing value.

        >>> Cells(missing=-999).is_missing("-999.0"), Cells().is_missing("n/a")
        (True, True)
        """
        return not self.is_text(cell) and math.isnan(self.number(cell))

    def spellings(self) -> Iterable[str]:
        """Every spelling of the missing values, for readers that mind the case."""
        for word in self.texts:
            options = [""]
            for letter in word:
                cases = {letter.lower(), letter.upper()}
                options = [before + case for before in options for case in sorted(cases)]
                if len(options) > 256:
                    options = [word, word.upper(), word.title()]
                    break
            yield from options

    def _unmarked(self, text: str) -> str:
        """The text with a point for its decimal mark and without what groups its digits."""
        if self.decimal == "." and self.thousands is None:
            return text
        whole, mark, rest = text.partition(self.decimal)
        if self.thousands is not None and self.thousands in whole:
            group = re.escape(self.thousands)
            if not re.fullmatch(rf"[+-]?\d{{1,3}}(?:{group}\d{{3}})+", whole):
                raise ValueError(text)
            whole = whole.replace(self.thousands, "")
        # A point that is neither mark would be a decimal one to Python.
        if self.decimal != "." and "." in whole + rest:
            raise ValueError(text)
        return f"{whole}.{rest}" if mark else whole
