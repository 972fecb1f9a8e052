"""What sets of points in a table are told: a label, or numbers, the same in all of their rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.data.column import Column
from pushforward.data.columns import closest, listed
from pushforward.data.labels import encode
from pushforward.data.mixed_tables import TextTable
from pushforward.data.schema import Schema
from pushforward.data.set_format import SetFormat
from pushforward.data.set_rows import numbers_in
from pushforward.errors import InputError

__all__ = ["check_constant", "conditions", "names_of", "present_label"]


def names_of(value: Any) -> list[str]:
    """Names as a list, also of a text with commas between."""
    if value is None:
        return []
    return [name.strip() for name in value.split(",")] if isinstance(value, str) else list(value)


def present_label(label: Any, names: Sequence[str], source: str, like: Schema | None) -> str | None:
    """The column of the label, if it is there. Raises `InputError` for one that is asked for."""
    if label in names:
        return str(label)
    if label and like is None:
        raise InputError(
            f"label={label!r}: {source} has no such column{closest(str(label), names)}, but "
            f"{listed([*names])}"
        )
    return None


def check_constant(table: TextTable, name: str, numbers: NDArray[np.int64]) -> None:
    """Raise `InputError` for what is said of a set and differs between its points."""
    if name not in table.cells:
        raise InputError(f"{table.source} has no column {name!r}, but {listed([*table.cells])}")
    seen: dict[int, str] = {}
    for row, (number, cell) in enumerate(zip(numbers.tolist(), table.cells[name], strict=True)):
        if seen.setdefault(number, cell) != cell:
            raise InputError(
                f"{table.source}, row {row + 1}: column {name!r} is {cell!r} where another point "
                f"of the same set has {seen[number]!r}: a label, or what is given, is that of a set"
            )


def conditions(
    table: TextTable,
    label: str | None,
    told: Sequence[str],
    sets: tuple[NDArray[np.int64], Sequence[str]],
    like: Schema | None,
    made: SetFormat,
) -> tuple[Tensor | None, Schema]:
    """The label, or the given columns, of each set, and a schema with these.

    `sets` are the first row of each, and its id.
    """
    first, ids = sets
    if label is not None and told:
        raise InputError("a set has a label, or columns that are given: leave label= or given= out")
    if label is not None:
        values = np.array(table.cells[label], dtype=object)[first]
        if like is not None and like.classes:
            known = {str(value): k for k, value in enumerate(like.classes)}
            odd = next((value for value in values if value not in known), None)
            if odd is not None:
                raise InputError(f"{table.source}: the training data have no {label} {odd!r}")
            c = torch.tensor([known[value] for value in values])
            return c, Schema(sets=made, label=label, classes=like.classes)
        c, classes = encode(values, table.source, lambda k: f"set {ids[k]!r}")
        return c, Schema(sets=made, label=label, classes=classes)
    if not told:
        return None, Schema(sets=made)
    parts, columns = [], []
    for name in told:
        own = numbers_in(
            table, name, np.zeros(len(table.cells[name]), dtype=bool), "number to be told"
        )[first]
        whole = bool((own == own.round()).all())
        columns.append(Column(name, "int64" if whole else "float64"))
        parts.append(torch.from_numpy(own))
    given = tuple(columns) if like is None else like.given
    return torch.stack(parts, 1).float(), Schema(sets=made, given=given)
