"""Columns of typed values, as spreadsheets and data frames have them, on their way to numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

from pushforward.data.cells import Cells, truth
from pushforward.data.text_columns import TextColumn
from pushforward.errors import InputError

__all__ = ["filled", "is_missing"]


def is_missing(value: Any) -> bool:
    """Whether a value is none: `None`, NaN, or what pandas has for them.

    >>> is_missing(None), is_missing(math.nan), is_missing("")
    (True, True, False)
    """
    # pandas.NA and NaT are not equal to themselves either, but NA has no truth value.
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float) and math.isnan(value)


def filled(
    name: str, position: int, values: Sequence[Any], cells: Cells, where: str
) -> tuple[TextColumn, str | None]:
    """A column with the numbers of some values, and the first of them as it would be written.

    Words for missing values and for truths are understood as in text tables; text that reads as a
    number is text. `where` names the file in errors. Raises `InputError` for values that have no
    place in a cell, such as lists; what else is no number is among the `faults`.

    >>> column, first = filled("a", 0, [True, None, "no"], Cells(), "a sheet")
    >>> column.faults
    Counter({'True': 1, 'no': 1})
    """
    column = TextColumn(name, position, cells)
    texts = []
    for row, value in enumerate(values):
        if is_missing(value):
            texts.append("")
        elif isinstance(value, str):
            texts.append(value if _is_known(value, cells) else "")
            if not _is_known(value, cells):
                column.refuse(row, value)
        elif isinstance(value, date):  # datetime is one too
            texts.append(value.isoformat())
        elif isinstance(value, (bool, np.bool_, Real, Decimal)):
            texts.append(str(value))
        else:
            raise InputError(
                f"{where}, column {name!r}: {str(value)[:60]!r} is not a number{_instead(value)}"
            )
    column.add(range(len(texts)), texts)
    column.settle()
    return column, next((text for text in texts if text), None)


def _instead(value: Any) -> str:
    """What a value is that has no place in a cell, and what to do about it."""
    if isinstance(value, (timedelta, np.timedelta64)):
        return " but a time: convert durations to a number of days or seconds"
    if isinstance(value, (list, tuple, np.ndarray)):
        return " but a list: give one column per number, or save an .npy array"
    return f" but a {type(value).__name__}: convert it to a number"


def _is_known(text: str, cells: Cells) -> bool:
    """Whether a word stands for a missing value or a truth, or for a date where these are read."""
    word = text.strip()
    if word.lower() in cells.texts or truth(word) is not None:
        return True
    return cells.start is not None and word[:1].isdigit() and "-" in word
