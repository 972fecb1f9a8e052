"""Some columns of a table."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.inverse.operator import Shape
from pushforward.inverse.selection import Selection

__all__ = ["Columns"]


class Columns(Selection):
    """Some columns of the rows of a table, `(k,)`, in the order given.

    Args:
        column: a number, from 0, or a name. A model that has learned from a table knows the names
            (`model.posterior`); elsewhere `resolved` takes them.
        more: further ones.

    Raises `InputError` for a column that there is not, or twice.

    >>> Columns(2, 0)(torch.tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 1.]])
    >>> Columns("c", "a").resolved(["a", "b", "c"]).columns
    (2, 0)
    """

    def __init__(self, column: int | str, *more: int | str) -> None:
        columns = (column, *more)
        for column in columns:
            whole = isinstance(column, int) and not isinstance(column, bool) and column >= 0
            if not whole and not isinstance(column, str):
                raise InputError(f"a column is a number from 0, or a name, not {column!r}")
        if len(set(columns)) < len(columns):
            raise InputError(f"a column is measured once: {', '.join(map(str, columns))}")
        self.columns = columns

    def resolved(self, names: Sequence[str]) -> Columns:
        """The same with numbers for names."""
        known = list(names)
        missing = [c for c in self.columns if isinstance(c, str) and c not in known]
        if missing:
            there = f"they are {', '.join(known)}" if known else "the columns have no names"
            raise InputError(f"there is no column {', '.join(map(repr, missing))}: {there}")
        return Columns(*(known.index(c) if isinstance(c, str) else c for c in self.columns))

    def places(self, event_shape: Shape) -> Tensor:
        """The numbers of the columns."""
        if len(event_shape) != 1:
            raise InputError(f"columns are those of a table, not of states of shape {event_shape}")
        for column in self.columns:
            if isinstance(column, str):
                raise InputError(
                    f"the column {column!r} is known by its number here: give that, or "
                    "Columns(...).resolved(names)"
                )
            if column >= event_shape[0]:
                raise InputError(
                    f"column {column} is past the last of {event_shape[0]}, which count from 0"
                )
        return torch.tensor(self.columns)
