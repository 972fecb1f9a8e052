"""Tables of typed columns: data frames, files of Arrow, and JSON lines."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward._extras import require
from pushforward.data.arrow_sizes import check_arrow, check_parquet
from pushforward.data.cells import Cells
from pushforward.data.columns import choose
from pushforward.data.levels import coded
from pushforward.data.measured import check_json_lines, opened
from pushforward.data.misread import all_but, are_words, explain
from pushforward.data.raw import Raw, counted
from pushforward.data.schema import Column
from pushforward.data.text_columns import TextColumn, column_of
from pushforward.data.value_columns import filled, is_missing
from pushforward.errors import InputError

__all__ = [
    "column_values",
    "read_arrow",
    "read_frame",
    "read_json_lines",
    "read_parquet",
    "read_values",
]


def read_parquet(path: Path, label: Any = None, **options: Any) -> Raw:
    """The columns of a `.parquet` file; label and `options` are those of `read_frame`.

    Needs the extra `data`. Raises `InputError` for damaged files and as `read_frame` does.
    """
    pandas = require("pandas", extra="data", purpose="read parquet files")

    def frame() -> Any:
        text = check_parquet(path)
        found = pandas.read_parquet(path, engine="pyarrow", read_dictionary=text)
        there = [name for name in text if name in found.columns]
        return found.astype(dict.fromkeys(there, object))

    return _read(path, "a parquet file", frame, label, options)


def read_arrow(path: Path, label: Any = None, **options: Any) -> Raw:
    """The columns of a `.feather` or `.arrow` file, a file or a stream of Arrow.

    Needs the extra `data`. Raises `InputError` for damaged files and as `read_frame` does.
    """
    pyarrow = require("pyarrow", extra="data", purpose="read files of Arrow")
    feather = require("pyarrow.feather", extra="data", purpose="read files of Arrow")

    def frame() -> Any:
        check_arrow(path)
        try:
            table = feather.read_table(str(path))
        except pyarrow.ArrowInvalid:
            with pyarrow.ipc.open_stream(path.read_bytes()) as stream:
                table = stream.read_all()
        # Offsets that lie lead out of memory.
        table.validate(full=True)
        return table.to_pandas()

    return _read(path, "a file of Arrow", frame, label, options)


def read_json_lines(path: Path, label: Any = None, **options: Any) -> Raw:
    """The columns of a `.jsonl` file, an object of names and values on each line.

    Needs the extra `data`. Raises `InputError` for damaged files and as `read_frame` does.
    """
    lines = require("pyarrow.json", extra="data", purpose="read JSON lines")

    def frame() -> Any:
        check_json_lines(path)
        with opened(path) as file:
            return lines.read_json(file).to_pandas()

    return _read(path, "a file of JSON lines", frame, label, options)


def _read(
    path: Path, what: str, frame: Callable[[], Any], label: Any, options: dict[str, Any]
) -> Raw:
    require("pyarrow", extra="data", purpose=f"read {what}")
    try:
        found = frame()
    except (InputError, MemoryError):
        raise
    except Exception as error:  # a damaged file can raise nearly anything
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path} is damaged or not {what} ({reason}): save it again") from None
    return read_frame(found, label, source=str(path), **options)


def read_frame(
    frame: Any,
    label: str | int | bool | None = None,
    columns: Sequence[str | int] | None = None,
    source: str = "the data frame",
    **written: Any,
) -> Raw:
    """The columns of a pandas data frame, with an optional column of labels.

    Missing values become NaN; truths and words for them, 0 and 1. `written` are `missing`, `since`
    and `given` of `cells.Cells`. Raises `InputError` naming row and column for all but numbers.

    >>> import pandas
    >>> pets = pandas.DataFrame({"weight": [4.0, 30.0], "kind": ["cat", "dog"]})
    >>> raw = read_frame(pets, label="kind")
    >>> raw.x.tolist(), raw.labels.tolist()
    ([[4.0], [30.0]], ['cat', 'dog'])
    """
    names = [str(name) for name in frame.columns]
    values = [column_values(frame.iloc[:, i]) for i in range(len(names))]
    raw = read_values(names, values, label, columns, source, Cells(**written))
    target = names.index(raw.label) if raw.label is not None else None
    if target is not None and str(frame.dtypes.iloc[target]) == "category":
        raw = dataclasses.replace(raw, label_dtype="category")
    return raw


def read_values(
    names: Sequence[str],
    values: Sequence[Any],
    label: Any,
    columns: Sequence[str | int] | None,
    source: str,
    cells: Cells,
    place: Callable[[int], str] = counted,
) -> Raw:
    """A table whose columns are given: arrays of numbers, with their types, or lists of values.

    `place` names a row in errors. Raises `InputError` as `read_frame` does.
    """
    chosen, target = choose(names, source, label, columns)
    x = np.empty((len(values[0]) if values else 0, len(chosen)))
    known: list[Column] = []
    mixed: list[TextColumn] = []
    for k, i in enumerate(chosen):
        way_out = all_but(names, chosen, [i])
        if isinstance(values[i], np.ndarray):
            x[:, k] = cells.without_codes(values[i].astype(np.float64))
            known.append(Column(names[i], values[i].dtype.name))
            continue
        column, first = filled(names[i], i, values[i], cells, source)
        if are_words(column):
            texts = ["" if is_missing(value) else str(value).strip() for value in values[i]]
            x[:, k], words = coded(names[i], texts, cells, source)
            known.append(column_of(names[i], x[:, k], words[0], words, source, way_out))
            continue
        x[:, k] = column.values()
        mixed.append(column)
        if not column.faults:
            known.append(column_of(names[i], x[:, k], first, column.words, source, way_out))
    if any(column.faults for column in mixed):
        whole = [TextColumn(names[i], i, cells, len(x)) for i in chosen]
        found = {column.position: column for column in mixed}
        everything = [found.get(column.position, column) for column in whole]
        raise explain(source, everything, names, len(x), None, target is not None, place)
    labels = label_dtype = label_at = None
    if target is not None:
        label_at = sum(i < target for i in chosen)
        labels = np.array(
            [None if is_missing(v) else v for v in list(values[target])], dtype=object
        )
        if isinstance(values[target], np.ndarray):
            label_dtype = values[target].dtype.name
    name = None if target is None else names[target]
    return Raw(x, labels, source, place, tuple(known), name, label_dtype, label_at)


def column_values(series: Any) -> NDArray[Any] | list[Any]:
    """A column of numbers as an array of its type, any other as a list."""
    dtype = series.dtype
    if getattr(dtype, "kind", "O") not in "biuf":
        values: list[Any] = series.tolist()
        return values
    # pandas and Arrow have types of their own for columns with gaps.
    kind = np.dtype(bool if dtype.kind == "b" else f"{dtype.kind}{dtype.itemsize}")
    if bool(series.isna().any()):
        return _with_gaps(series, kind)
    dense: NDArray[Any] = series.to_numpy(dtype=kind)
    return dense


def _with_gaps(series: Any, kind: np.dtype[Any]) -> NDArray[Any] | list[Any]:
    if kind.kind == "f":
        floats: NDArray[Any] = series.to_numpy(dtype=kind, na_value=math.nan)
        return floats
    values: list[Any] = series.tolist()
    return values
