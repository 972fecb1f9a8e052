"""The rows of a long table as points: whose they are, where, and of which kind."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pushforward.data.cells import Cells, as_date
from pushforward.data.column import Column
from pushforward.data.columns import closest, listed
from pushforward.data.mixed_tables import TextTable
from pushforward.errors import InputError

__all__ = ["check_rows", "check_words", "codes_in", "grouped", "numbers_in"]


def grouped(table: TextTable, name: str) -> tuple[NDArray[np.int64], list[str]]:
    """The number of the set of each row, in the order in which they come, and the ids.

    Raises `InputError` for a row without one.
    """
    ids: dict[str, int] = {}
    cells = table.cells[name]
    if "" in cells:
        raise InputError(
            f"{table.source}, row {cells.index('') + 1}: column {name!r} is empty, so that the set "
            "of the point is not known: fill it in, or leave the row out"
        )
    numbers = np.array([ids.setdefault(cell.strip(), len(ids)) for cell in cells])
    return numbers, [*ids]


def check_rows(
    table: TextTable,
    rest: Sequence[str],
    gaps: NDArray[np.bool_],
    numbers: NDArray[np.int64],
    nothing: NDArray[np.bool_],
    ids: Sequence[str],
) -> None:
    """Raise `InputError` for points with a cell missing, and sets that are empty and not."""
    if gaps.any():
        column, row = (int(k) for k in np.argwhere(gaps)[0])
        raise InputError(
            f"{table.source}, row {row + 1}: column {rest[column]!r} has no value for a point of "
            f"set {ids[numbers[row]]!r}: leave the point out, or fill it in; a row with an id and "
            "nothing else is a set without points"
        )
    both = set(numbers[nothing].tolist()) & set(numbers[~nothing].tolist())
    if both:
        raise InputError(
            f"{table.source}: set {ids[min(both)]!r} has points, and a row without values, which "
            "stands for a set without points"
        )


def check_words(table: TextTable, name: str, cells: Sequence[str]) -> None:
    """Raise `InputError` for dates, and for numbers in another notation, which are no kinds."""
    where = f"{table.source}, column {name!r} holds"
    moments = [as_date(cell) for cell in cells]
    days = [moment.date().isoformat() for moment in moments if moment is not None]
    if len(days) == len(cells):
        raise InputError(
            f"{where} dates: read them as days with since={min(days)!r}, or as kinds with "
            f"marks={name}"
        )
    other = Cells("," if table.notation.decimal == "." else ".")
    if not any(map(other.is_text, cells)):
        raise InputError(
            f"{where} numbers such as {cells[0]!r}: say decimal={other.decimal!r}, or read them as "
            f"kinds with marks={name}"
        )


def numbers_in(
    table: TextTable, name: str, nothing: NDArray[np.bool_], what: str = "place of a point"
) -> NDArray[np.float64]:
    """The numbers of a column, zeros for sets without points."""
    found = np.zeros(len(nothing))
    for row, cell in enumerate(table.cells[name]):
        if nothing[row]:
            continue
        try:
            found[row] = table.notation.number(cell)
        except ValueError:
            raise InputError(
                f"{table.source}, row {row + 1}: {cell!r} in column {name!r} is no number; a "
                f"column of kinds is a mark, marks={name}"
            ) from None
        if not np.isfinite(found[row]):
            raise InputError(
                f"{table.source}, row {row + 1}: {cell!r} in column {name!r} is no {what}"
            )
    return found


def codes_in(table: TextTable, mark: Column, nothing: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The numbers of the values of a mark. Raises `InputError` for one that is not known."""
    number = {word: k for k, word in enumerate(mark.words)}
    found = np.zeros(len(nothing), dtype=np.int64)
    for row, cell in enumerate(table.cells[mark.name]):
        if nothing[row]:
            continue
        if cell not in number:
            raise InputError(
                f"{table.source}, row {row + 1}: the training data have no {mark.name} {cell!r}"
                f"{closest(cell, mark.words)}, but {listed([*mark.words])}"
            )
        found[row] = number[cell]
    return found
