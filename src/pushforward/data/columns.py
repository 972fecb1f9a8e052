"""Which columns of a table are features, and which one is the label."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.errors import InputError

__all__ = ["choose", "closest", "refuse_row_numbers"]


def closest(word: str, known: Sequence[str]) -> str:
    """` (did you mean 'x'?)`, or nothing.

    >>> closest("digts", ["digits", "pinwheel"])
    " (did you mean 'digits'?)"
    """
    match = get_close_matches(word, known, n=1)
    return f" (did you mean {match[0]!r}?)" if match else ""


def choose(
    names: Sequence[str],
    source: str,
    label: Any = None,
    columns: Sequence[str | int] | None = None,
) -> tuple[list[int], int | None]:
    """The positions of the features and of the label among the columns `names`.

    Columns are named, or numbered from 0 (from the end if negative); `"1:"` and `"2:5"` are the
    ranges that they are in Python, without the label. Without `columns` every column but the label
    is a feature. Raises `InputError` for columns that do not exist, are named
    twice, or leave no feature.

    >>> choose(["a", "b", "kind"], "pets.csv", label="kind")
    ([0, 1], 2)
    """
    target = None
    if label is not None and label is not False:
        if not isinstance(label, (str, int)) or label is True:
            raise InputError(f"label names a column of {source}, by name or number, not {label!r}")
        target = _position(names, source, label)
    if columns is None:
        chosen = [i for i in range(len(names)) if i != target]
    else:
        if isinstance(columns, (str, int)):
            columns = [columns]
        chosen = [i for column in columns for i in _positions(names, source, column, target)]
        twice = {i for i in chosen if chosen.count(i) > 1}
        if twice or target in chosen:
            again = names[min(twice) if twice else chosen[chosen.index(target or 0)]]
            raise InputError(f"column {again!r} of {source} is chosen twice")
    if not chosen:
        raise InputError(f"{source} has no column left to learn from beside the label {label!r}")
    return chosen, target


def refuse_row_numbers(name: str, values: NDArray[Any], source: str) -> None:
    """An `InputError` for the index column that pandas and R write: no name, and 0, 1, 2, ..."""
    unnamed = name.strip() in ("", "Unnamed: 0", "__index_level_0__")
    if unnamed and len(values) > 1 and bool((np.diff(values) == 1).all()):
        raise InputError(
            f"{source}: the first column has no name and counts {values[0]:g}, {values[1]:g}, "
            "...: it is a row number, not data. Leave it out with columns='1:'"
        )


def _positions(
    names: Sequence[str], source: str, column: str | int, target: int | None
) -> list[int]:
    cut = None if column in names else re.fullmatch(r"(-?\d*):(-?\d*)", str(column))
    if cut is None:
        return [_position(names, source, column)]
    start, stop = (int(end) if end else None for end in cut.groups())
    return [i for i in range(len(names))[start:stop] if i != target]


def _position(names: Sequence[str], source: str, column: str | int) -> int:
    text = str(column)
    if isinstance(column, str) and list(names).count(text) > 1:
        raise InputError(f"{source} has several columns called {text!r}: choose it by its number")
    if isinstance(column, str) and text in names:
        return list(names).index(text)
    try:
        number = int(column)
    except ValueError:
        number = len(names)
    if -len(names) <= number < len(names):
        return number % len(names)
    shown = ", ".join(map(repr, names[:20])) + (", ..." if len(names) > 20 else "")
    raise InputError(f"{source} has no column {column!r}{closest(text, names)}; it has {shown}")
