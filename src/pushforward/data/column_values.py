"""Which values the columns of a table take: few levels, whole numbers, or any."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.data.decimals import decimals_of
from pushforward.data.dialect import Dialect
from pushforward.data.schema import Column

__all__ = ["MOST_LEVELS", "described", "entries_of"]

MOST_LEVELS = 20
"""The most values that are levels, each of which occurs this many times, or more, on average."""

_TIMES = 10
_FIRST = 10_000
_ROWS = 50  # fewer do not tell with how many digits numbers are written


def described(
    columns: Sequence[Column], x: NDArray[Any], dialect: Dialect | None = None
) -> tuple[Column, ...]:
    """Columns with the values that they take, found in a table `(N, k)`.

    A column of at most 20 values, which occur ten times each on average, has these for its levels;
    so has one of booleans. Others of whole numbers have the range from the smallest to the largest.
    Numbers of a text, which has a dialect, have as many digits after the point as are there,
    if these are few and there are rows enough to tell. What a reader knows already stays.

    >>> x = np.stack([np.arange(100.0) % 3, np.arange(100.0)], 1)
    >>> kinds = described((Column("kind", "int64"), Column("age", "int64")), x)
    >>> kinds[0].levels, kinds[1].levels, kinds[1].value_range
    ((0.0, 1.0, 2.0), None, (0.0, 99.0))
    """
    found = tuple(_described(column, x[:, k]) for k, column in enumerate(columns))
    if dialect is None or len(x) < _ROWS:
        return found
    return tuple(_with_digits(column, x[:, k]) for k, column in enumerate(found))


def entries_of(x: NDArray[Any], name: str = "") -> Column:
    """What the numbers of an array are, whose columns have no names; the array may have one.

    >>> entries_of(np.array([[3, 7], [4, -1]], dtype=np.int16))
    Column(name='', dtype='int16', levels=None, words=(), value_range=(-1.0, 7.0), decimals=None)
    """
    return _of_type(Column(name, x.dtype.name), x)


def _described(column: Column, values: NDArray[Any]) -> Column:
    if column.levels is not None:
        return column
    if np.dtype(column.dtype).kind != "b" and _few(values[:_FIRST], len(values)):
        levels = np.unique(values)
        if _few(levels, len(values)):
            return dataclasses.replace(column, levels=tuple(map(float, levels)))
    return _of_type(column, values)


def _with_digits(column: Column, values: NDArray[Any]) -> Column:
    """A column of fractions with their digits after the point."""
    if column.levels is not None or column.decimals is not None or column.dtype != "float64":
        return column
    return dataclasses.replace(column, decimals=decimals_of(values))


def _of_type(column: Column, values: NDArray[Any]) -> Column:
    """A column with the values that its type allows."""
    kind = np.dtype(column.dtype).kind
    if kind == "b":
        return dataclasses.replace(column, levels=(0.0, 1.0))
    if kind in "iu":
        return dataclasses.replace(column, value_range=(float(values.min()), float(values.max())))
    return column


def _few(values: NDArray[Any], rows: int) -> bool:
    """Whether some of the values of a column could be all that there are."""
    return len(np.unique(values)) <= min(MOST_LEVELS, rows // _TIMES)
