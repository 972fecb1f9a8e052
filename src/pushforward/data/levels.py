"""Columns of words: each word a level, by name in tables, one-hot for networks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.data.cells import Cells
from pushforward.data.column import Column
from pushforward.errors import InputError

__all__ = ["MOST_WORDS", "coded", "from_one_hot", "one_hot", "one_hot_columns", "one_hot_names"]

MOST_WORDS = 1000
"""More different words are names of rows rather than levels."""


def coded(
    name: str, texts: Sequence[str], cells: Cells, source: str
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """A column of words as their numbers in sorted order, NaN for missing ones, and the words.

    Raises `InputError` for too many different words.

    >>> coded("city", ["Rome", "", "Oslo", "Rome"], Cells(), "t.csv")
    (array([ 1., nan,  0.,  1.]), ('Oslo', 'Rome'))
    """
    words = tuple(sorted({text for text in texts if not cells.is_missing(text)}))
    if len(words) > MOST_WORDS:
        raise InputError(
            f"{source}, column {name!r} has {len(words)} different words, such as {words[0]!r}: "
            f"a column that is given has at most {MOST_WORDS}, so leave it out of given="
        )
    number = {word: float(k) for k, word in enumerate(words)}
    return np.array([number.get(text, np.nan) for text in texts]), words


def one_hot(values: Tensor, columns: Sequence[Column]) -> Tensor:
    """A table `(N, k)` in which a column of words becomes one of 0 and 1 for each of its words.

    >>> columns = Column("city", "str", (0.0, 1.0), ("Oslo", "Rome")), Column("b")
    >>> one_hot(torch.tensor([[1.0, 2.5]]), columns)
    tensor([[0.0000, 1.0000, 2.5000]])
    """
    parts = [
        (column[:, None] == torch.tensor(known.levels, dtype=column.dtype)).to(column)
        if known.categorical
        else column[:, None]
        for column, known in zip(values.unbind(1), columns, strict=True)
    ]
    return torch.cat(parts, 1)


def from_one_hot(c: Tensor, columns: Sequence[Column]) -> Tensor:
    """The table `(N, k)` again: of a column of words, the numbers of the words.

    >>> columns = Column("city", "str", (0.0, 1.0), ("Oslo", "Rome")), Column("b")
    >>> from_one_hot(torch.tensor([[0.0, 1.0, 2.5]]), columns)
    tensor([[1.0000, 2.5000]])
    """
    parts = c.split([len(_names(column)) for column in columns], 1)
    pairs = zip(parts, columns, strict=True)
    return torch.cat([p.argmax(1, keepdim=True).to(p) if k.categorical else p for p, k in pairs], 1)


def one_hot_names(columns: Sequence[Column]) -> tuple[str, ...]:
    """The name of each number of `one_hot`.

    >>> one_hot_names((Column("city", "str", (0.0, 1.0), ("Oslo", "Rome")), Column("b")))
    ('city=Oslo', 'city=Rome', 'b')
    """
    return tuple(name for column in columns for name in _names(column))


def one_hot_columns(columns: Sequence[Column], size: int) -> Tensor:
    """Which of the `size` numbers of `one_hot` are words; none of contexts that have no columns.

    >>> one_hot_columns((Column("city", "str", (0.0, 1.0), ("Oslo", "Rome")), Column("b")), 3)
    tensor([ True,  True, False])
    """
    found = [column.categorical for column in columns for _ in _names(column)]
    return torch.tensor(found or [False] * size)


def _names(column: Column) -> list[str]:
    if not column.categorical:
        return [column.name]
    return [f"{column.name}={word}" for word in column.words]
