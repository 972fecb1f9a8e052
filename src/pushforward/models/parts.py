"""Rows in parts of what fits into memory."""

from __future__ import annotations

from pushforward import checks
from pushforward.errors import InputError

__all__ = ["parts_of"]


def parts_of(n: int, batch_size: int | None, rows: slice = slice(None)) -> list[slice]:
    """Slices of at most `batch_size` rows that cover some of `n` rows; one of all without a size.

    Nothing to draw is a share too, if there are more processes than states. Raises `InputError`
    unless both numbers are positive and whole, or for rows not next to each other.

    >>> parts_of(5, 3)
    [slice(0, 3, None), slice(3, 5, None)]
    >>> parts_of(5, None, slice(3, None))
    [slice(3, 5, None)]
    """
    checks.whole("n", n)
    size = n if batch_size is None else checks.whole("batch_size", batch_size)
    first, last, stride = rows.indices(n)
    if stride != 1:
        raise InputError(f"rows are next to each other, not {rows}")
    parts = [slice(i, min(i + size, last)) for i in range(first, last, size)]
    return parts or [slice(first, first)]
