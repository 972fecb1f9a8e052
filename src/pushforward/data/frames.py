"""Tables of pandas: `.parquet` files and data frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward._extras import require
from pushforward.data.columns import choose, refuse_row_numbers
from pushforward.data.raw import Raw, counted
from pushforward.data.schema import Column
from pushforward.errors import InputError

__all__ = ["read_frame", "read_parquet"]


def read_parquet(
    path: Path,
    label: str | int | bool | None = None,
    columns: Sequence[str | int] | None = None,
) -> Raw:
    """The numeric columns of a `.parquet` file, with an optional column of labels.

    Needs the extra `data`. Raises `InputError` for damaged files and as `read_frame` does.
    """
    pandas = require("pandas", extra="data", purpose="read parquet files")
    pyarrow = require("pyarrow", extra="data", purpose="read parquet files")
    try:
        frame = pandas.read_parquet(path, engine="pyarrow")
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"{path} is damaged or not a parquet file ({reason}): save it again"
        ) from None
    return read_frame(frame, label, columns, str(path))


def read_frame(
    frame: Any,
    label: str | int | bool | None = None,
    columns: Sequence[str | int] | None = None,
    source: str = "the data frame",
) -> Raw:
    """The numeric columns of a pandas data frame, with an optional column of labels.

    Missing values become NaN. Raises `InputError` naming row and column for anything but numbers.

    >>> import pandas
    >>> pets = pandas.DataFrame({"weight": [4.0, 30.0], "kind": ["cat", "dog"]})
    >>> raw = read_frame(pets, label="kind")
    >>> raw.x.tolist(), raw.labels.tolist()
    ([[4.0], [30.0]], ['cat', 'dog'])
    """
    names = [str(name) for name in frame.columns]
    chosen, target = choose(names, source, label, columns)
    x = np.stack([_numbers(frame.iloc[:, i], names[i], source) for i in chosen], -1)
    if chosen[0] == 0:
        refuse_row_numbers(names[0], x[:, 0], source)
    labels = label_name = label_dtype = None
    if target is not None:
        label_name = names[target]
        series = frame.iloc[:, target]
        labels = np.array([None if _missing(v) else v for v in series.tolist()], dtype=object)
        label_dtype = _label_dtype(series.dtype)
    known = tuple(Column(names[i], _dtype(frame.dtypes.iloc[i])) for i in chosen)
    return Raw(x, labels, source, counted, known, label_name, label_dtype)


def _dtype(dtype: Any) -> str:
    """The numpy type of a column: pandas and Arrow have their own for columns with gaps."""
    kind = getattr(dtype, "kind", "O")
    if kind not in "biuf":
        return "float64"
    return "bool" if kind == "b" else np.dtype(f"{kind}{dtype.itemsize}").name


def _label_dtype(dtype: Any) -> str | None:
    """The type of a column of labels; `None` for words."""
    if str(dtype) == "category":
        return "category"
    return _dtype(dtype) if getattr(dtype, "kind", "O") in "biuf" else None


def _numbers(series: Any, name: str, source: str) -> NDArray[np.float64]:
    """One column as float64; an error for the first value that is no number."""
    if getattr(series.dtype, "kind", "O") in "biuf":
        dense: NDArray[np.float64] = series.to_numpy(dtype=np.float64, na_value=math.nan)
        return dense
    values = series.tolist()
    numbers = np.empty(len(values))
    for row, value in enumerate(values):
        if _missing(value):
            numbers[row] = math.nan
        elif isinstance(value, (Real, Decimal)):
            numbers[row] = float(value)
        else:
            raise InputError(_not_a_number(source, row, name, value))
    return numbers


def _missing(value: Any) -> bool:
    # pandas.NA and NaT are not equal to themselves either, but NA has no truth value.
    return value is None or type(value).__name__ in ("NAType", "NaTType") or value is math.nan


def _not_a_number(source: str, row: int, name: str, value: Any) -> str:
    where = f"{source}, {counted(row)}, column {name!r}: {str(value)[:60]!r} is not a number"
    if hasattr(value, "isoformat") or hasattr(value, "total_seconds"):
        return f"{where} but a time: convert it, say to days since a first date, or choose columns="
    if isinstance(value, (list, tuple, np.ndarray)):
        return f"{where} but a list: give one column per number, or save an .npy array"
    return (
        f"{where}: make the column the label with label={name!r}, "
        "or choose the others with columns="
    )
