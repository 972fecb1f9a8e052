"""Columns that number the rows: indices that pandas and R write, identifiers, dates."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.data.dataset import Data
from pushforward.data.finding import Finding, listed
from pushforward.data.schema import Column
from pushforward.errors import InputError

__all__ = ["identifiers", "index_columns"]

NAMELESS = re.compile(r"|Unnamed: 0(\.\d+)*|__index_level_\d+__")
_IDENTIFIER = re.compile(r"(.*[^a-z])?(ids?|index|idx|key|nr|no|num|number|row|rownum|record)")
_DATE = re.compile(r"date|time|stamp|day|epoch")
_PLAIN = re.compile(r"[^\d\W][^\[\]'\"\\\n]*")
_FEWEST = 20
_MOST_NAMED = 12
_CLOCKS = ((20_000, 75_000), (1e8, 2.2e9), (1e11, 2.2e12))
"""Days since 1900 of the years 1954 to 2105; seconds and milliseconds since 1970 to 2039."""


def index_columns(
    columns: Sequence[Column], x: NDArray[Any], source: str
) -> tuple[int, tuple[str, ...]]:
    """How many of the first columns are an index, and a note on them.

    An index has no name, or the one that pandas gives to a column without, and whole numbers of
    which hardly two are alike, in whatever order the rows have been put since. Raises `InputError`
    if there is nothing else.

    >>> index_columns((Column(""), Column("a")), np.array([[4.0, 0.1], [2.0, 0.3]]), "a.csv")
    (1, ("a.csv: left out the column '', an index of the rows",))
    """
    count = 0
    while count < len(columns) and _is_index(columns[count].name, x[:, count]):
        count += 1
    if not count:
        return 0, ()
    if count == len(columns):
        raise InputError(
            f"{source} has no column but one without a name that counts {x[0, 0]:g}, {x[1, 0]:g}, "
            "...: a row number, not data"
        )
    names = ", ".join(repr(column.name) for column in columns[:count])
    return count, (f"{source}: left out the column {names}, an index of the rows",)


def identifiers(data: Data, rows: NDArray[np.floating]) -> Iterator[Finding]:
    """Columns with names that tell one row from the others, `rows` being the finite ones `(N, D)`.

    Numbers of rows are whole, all different, and either follow each other closely in some order or
    are called so. Dates are whole numbers in the range of days since 1900, of seconds since 1970,
    or of digits such as 20240131, that are called so or grow from row to row. What grows, or falls,
    without looking like a date may be what the table is sorted by.
    """
    if not data.columns or len(rows) < _FEWEST:
        return
    numbered, dates, ordered = [], [], []
    for name, column in zip(data.columns, rows.T, strict=False):
        values = column.astype(np.float64)
        steps = np.diff(values)
        if np.abs(steps - steps[0]).max() <= 1e-3 * abs(steps[0]) or values.min() == values.max():
            continue  # counted elsewhere, or constant
        growing = bool((steps >= 0).all() or (steps <= 0).all())
        if _is_date(name, values, growing):
            dates.append(name)
        elif _numbers_rows(name, values):
            numbered.append(name)
        elif growing and len(np.unique(values)) >= _FEWEST:
            ordered.append(name)
    if numbered:
        yield Finding(
            "warning",
            "A feature numbers the rows",
            f"Whole numbers, no two of them alike: {_columns(numbered)}.",
            "An identifier is no random quantity, and the model would learn it: "
            f"{without(data.columns, [*numbered, *dates])}.",
        )
    if dates:
        yield Finding(
            "warning",
            "A feature looks like a date",
            f"Whole numbers in the range of dates: {_columns(dates)}.",
            "A date says when a row was taken, and samples would have dates of their own: "
            f"{without(data.columns, [*numbered, *dates])}.",
        )
    if ordered:
        yield Finding(
            "info",
            "A feature only grows, or only falls, from row to row",
            f"The rows come in the order of {_columns(ordered)}.",
            f"A clock or a counter is no random quantity: {without(data.columns, ordered)}. If "
            "the table was sorted by a measurement, all is well.",
        )


def _columns(names: Sequence[str]) -> str:
    return listed([f"column {name!r}" for name in names])


def without(names: Sequence[str], bad: Sequence[str]) -> str:
    """How to leave columns out: with the option that chooses the others.

    >>> without(("id", "size (mm)"), ["id"]), without((), [])
    ("leave it out with columns=['size (mm)']", 'leave it out')
    """
    if not names:
        return "leave it out"
    rest = [name for name in names if name not in bad]
    if not rest:
        return "choose other columns"
    few = len(rest) <= _MOST_NAMED and all(_PLAIN.fullmatch(name) for name in rest)
    if few:
        return f"leave it out with columns={rest!r}"
    return "leave it out by choosing all others with the option columns="


def _is_index(name: str, values: NDArray[Any]) -> bool:
    if not NAMELESS.fullmatch(name.strip()) or len(values) < 2 or values.dtype.kind not in "biuf":
        return False
    whole = bool(np.isfinite(values).all() and (values == np.round(values)).all())
    return whole and 2 * len(np.unique(values)) > len(values)


def _numbers_rows(name: str, values: NDArray[np.float64]) -> bool:
    if not bool((values == np.round(values)).all()) or len(np.unique(values)) < len(values):
        return False
    close = values.max() - values.min() < 2 * len(values)
    return close or bool(_IDENTIFIER.fullmatch(name.strip().lower()))


def _is_date(name: str, values: NDArray[np.float64], growing: bool) -> bool:
    low, high = values.min(), values.max()
    several = len(np.unique(values)) >= _FEWEST and bool((values == np.round(values)).all())
    called = bool(_DATE.search(name.lower()))
    if not several or not (growing or called):
        return False
    if low >= 19000101 and high <= 21001231:
        return bool((values // 100 % 100 <= 12).all() and (values % 100 <= 31).all())
    return any(first <= low and high <= last for first, last in _CLOCKS)
