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

_NAMELESS = re.compile(r"|Unnamed: 0(\.\d+)*|__index_level_\d+__")
_IDENTIFIER = re.compile(r"(.*[^a-z])?(ids?|index|idx|key|nr|no|num|number|row|rownum|record)")
_FEWEST = 20


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
    are called so. What grows, or falls, from row to row is a date, or what the table is sorted by.
    """
    if not data.columns or len(rows) < _FEWEST:
        return
    numbered, ordered = [], []
    for name, column in zip(data.columns, rows.T, strict=False):
        values = column.astype(np.float64)
        steps = np.diff(values)
        if np.abs(steps - steps[0]).max() <= 1e-3 * abs(steps[0]) or values.min() == values.max():
            continue  # counted elsewhere, or constant
        if _numbers_rows(name, values):
            numbered.append(f"column {name!r}")
        elif len(np.unique(values)) >= _FEWEST and ((steps >= 0).all() or (steps <= 0).all()):
            ordered.append(f"column {name!r}")
    if numbered:
        yield Finding(
            "warning",
            "A feature numbers the rows",
            f"Whole numbers, no two of them alike: {listed(numbered)}.",
            "An identifier is no random quantity, and the model would learn it: leave it out with "
            "columns=.",
        )
    if ordered:
        yield Finding(
            "info",
            "A feature only grows, or only falls, from row to row",
            f"The rows come in the order of {listed(ordered)}.",
            "A date or a counter is no random quantity: leave it out with columns=. If the table "
            "was sorted by a measurement, all is well.",
        )


def _is_index(name: str, values: NDArray[Any]) -> bool:
    if not _NAMELESS.fullmatch(name.strip()) or len(values) < 2 or values.dtype.kind not in "biuf":
        return False
    whole = bool(np.isfinite(values).all() and (values == np.round(values)).all())
    return whole and 2 * len(np.unique(values)) > len(values)


def _numbers_rows(name: str, values: NDArray[np.float64]) -> bool:
    if not bool((values == np.round(values)).all()) or len(np.unique(values)) < len(values):
        return False
    close = values.max() - values.min() < 2 * len(values)
    return close or bool(_IDENTIFIER.fullmatch(name.strip().lower()))
