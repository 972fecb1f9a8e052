"""What functions, or sets of points, are told: a label, or columns of numbers that are given."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.data.columns import closest, listed
from pushforward.data.labels import encode
from pushforward.data.mixed_tables import TextTable
from pushforward.data.schema import Column, Schema
from pushforward.errors import InputError

__all__ = ["ToldColumns", "table_of_functions", "told_columns"]


class ToldColumns(NamedTuple):
    """Contexts, the rest of the table, and what a schema keeps of the columns."""

    table: TextTable
    c: Tensor | None
    schema: Schema


def told_columns(
    table: TextTable,
    label: str | None,
    given: Sequence[str],
    key: str | None = None,
    like: Schema | None = None,
    *,
    whole: str = "function",
    part: str = "value",
) -> ToldColumns:
    """The label, or the given columns, of each function, and the table without them.

    Args:
        table: a row for each function, or for each value.
        label: the column of labels, or `None`.
        given: columns of numbers.
        key: in a table with a row for each value, the column that tells functions apart.
        like: of other data, whose labels keep their codes. A label may then be missing.
        whole, part: what is told, and what a row of it is, in messages: a set has points.

    Raises `InputError` for columns that are not there, cells that are no numbers, classes that are
    not known, both labels and given columns, and what differs between the rows of a function.

    >>> from pushforward.data.cells import Cells
    >>> cells = {"0": ["3", "4"], "kind": ["b", "a"], "1": ["5", "6"]}
    >>> found = told_columns(TextTable(cells, "f.csv", Cells()), "kind", ())
    >>> found.c, list(found.table.cells), found.schema.classes
    (tensor([1, 0]), ['0', '1'], ('a', 'b'))
    """
    names, source = list(table.cells), table.source
    if label is not None and given:
        raise InputError(f"a {whole} has a label, or columns that are given: leave one of them out")
    wanted = [*([] if label is None else [label]), *given]
    for name in wanted:
        if name not in names:
            raise InputError(
                f"{source} has no column {name!r}{closest(name, names)}, but {listed(names)}"
            )
    rows, first = _functions(table, key)
    ids = [repr(table.cells[key][k]) for k in first] if key in names else range(len(first))
    named = [f"{whole} {k}" for k in ids]
    for name in wanted:
        cells = table.cells[name]
        odd = next((k for k, row in enumerate(rows) if cells[k] != cells[first[row]]), None)
        if odd is not None:
            raise InputError(
                f"{source}, row {odd + 1}: column {name!r} is {cells[odd]!r} where another "
                f"{part} of the same {whole} has {cells[first[rows[odd]]]!r}: a label, or what is "
                f"given, is that of a {whole}"
            )
    rest = {name: cells for name, cells in table.cells.items() if name not in wanted}
    left, at = dataclasses.replace(table, cells=rest), tuple(map(names.index, wanted))
    if label is not None:
        words = [table.cells[label][k] for k in first]
        if like is not None and like.classes:
            c, classes = _codes(words, like.classes, label, source), like.classes
        else:
            c, classes = encode(np.array(words, dtype=object), source, named.__getitem__)
        return ToldColumns(left, c, Schema(label=label, classes=classes, label_at=at[0]))
    if not given:
        return ToldColumns(left, None, Schema())
    values = np.stack([_numbers(table, name, first, whole) for name in given], 1)
    columns = like.given if like is not None and like.given else tuple(
        Column(name, "int64" if bool((own == own.round()).all()) else "float64")
        for name, own in zip(given, values.T, strict=True)
    )  # fmt: skip
    return ToldColumns(left, torch.from_numpy(values).float(), Schema(given=columns, given_at=at))


def table_of_functions(
    schema: Schema, x: Tensor, told: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Functions as the columns of their file, with what they were told where it was.

    >>> from pushforward.data.function_format import FunctionFormat
    >>> made = FunctionFormat("wide", columns=("0", "1"))
    >>> table_of_functions(Schema(functions=made, label="kind", label_at=0),
    ...                    torch.tensor([[[1.0, 2.0]]]), {"kind": np.array([3])})
    {'kind': array([3]), '0': array([1.], dtype=float32), '1': array([2.], dtype=float32)}
    """
    assert schema.functions is not None
    columns = schema.functions.table(x, told)
    places = zip((column.name for column in schema.given), schema.given_at, strict=True)
    moved = {name: at for name, at in places if name in told}
    if schema.label in told and schema.label is not None and schema.label_at is not None:
        moved[schema.label] = schema.label_at
    names = [name for name in columns if name not in moved]
    for name in sorted(moved, key=lambda name: moved[name]):
        names.insert(moved[name], name)
    return {name: columns[name] for name in names}


def _functions(table: TextTable, key: str | None) -> tuple[list[int], list[int]]:
    """The number of the function of each row, and the first row of each."""
    if key is None or key not in table.cells:
        count = len(next(iter(table.cells.values())))
        return list(range(count)), list(range(count))
    number: dict[str, int] = {}
    rows = [number.setdefault(cell, len(number)) for cell in table.cells[key]]
    first: dict[int, int] = {}
    for k, row in enumerate(rows):
        first.setdefault(row, k)
    return rows, list(first.values())


def _codes(words: Sequence[str], classes: Sequence[Any], label: str, source: str) -> Tensor:
    known = {str(value): k for k, value in enumerate(classes)}
    odd = next((word for word in words if word.strip() not in known), None)
    if odd is not None:
        raise InputError(
            f"{source}: the training data have no {label} {odd!r}{closest(odd, list(known))}, but "
            f"{listed(list(known))}"
        )
    return torch.tensor([known[word.strip()] for word in words])


def _numbers(table: TextTable, name: str, rows: Sequence[int], whole: str) -> NDArray[np.float64]:
    found = np.empty(len(rows))
    for k, row in enumerate(rows):
        cell = table.cells[name][row]
        try:
            found[k] = table.notation.number(cell)
        except ValueError:
            found[k] = np.nan
        if not np.isfinite(found[k]):
            raise InputError(
                f"{table.source}, row {row + 1}: {cell!r} is no finite number, and column {name!r} "
                f"is given: fill it in, leave the {whole} out, or take it as the label"
            )
    return found
