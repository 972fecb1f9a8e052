"""Numbers of a model as the values that data take: levels, whole numbers, and their types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward import state
from pushforward.data.schema import Column, Schema
from pushforward.errors import InputError

__all__ = ["is_rounded", "rounded", "rounded_table", "typed", "typed_array"]


def is_rounded(column: Column) -> bool:
    """Whether samples of a column are brought to its values when they are written.

    >>> is_rounded(Column("count", "int64")), is_rounded(Column("height", "float64"))
    (True, False)
    """
    known = column.levels is not None or column.decimals is not None
    return known or np.dtype(column.dtype).kind in "iub"


def rounded(
    x: Any,
    space: Any,
    schema: Schema,
    levels: int | None = None,
    value_range: tuple[float, float] | None = None,
) -> Any:
    """States with their numbers at the nearest values that the data take.

    Columns with levels go to the nearest of them, other columns of integers to the nearest whole
    number in their range, those with decimals to so many, and quantized data such as pictures to
    the nearest of `levels` equally spaced values of `value_range`. All else stays as it is.

    >>> from pushforward.spaces import Euclidean
    >>> known = Column("smokes", "bool", (0.0, 1.0)), Column("age", "int64"), Column("height")
    >>> x = torch.tensor([[0.3, 41.7, 1.83], [1.9, -2.2, 1.7]])
    >>> rounded(x, Euclidean(), Schema(known))
    tensor([[ 0.0000, 42.0000,  1.8300],
            [ 1.0000, -2.0000,  1.7000]])
    """
    if any(map(is_rounded, schema.columns)):
        table, _ = space.to_table(x)
        # On the processor, as not every device has double precision.
        found = space.from_arrays(rounded_table(table.cpu(), schema.columns))
        return state.map_leaves(lambda new, old: new.to(old).reshape(old.shape), found, x)
    if levels is not None and value_range is not None:
        low, high = value_range
        step = (high - low) / (levels - 1)
        return ((x - low) / step).round().clamp(0, levels - 1) * step + low
    entries = schema.entries
    if entries is not None and isinstance(x, Tensor) and x.is_floating_point():
        return _nearest(x.cpu(), entries).to(x)
    return x


def rounded_table(table: Tensor, columns: Sequence[Column]) -> Tensor:
    """A table `(N, k)` with each column at the values that it takes, in double precision.

    What is not finite stays so.

    Raises `InputError` for another number of columns.
    """
    if len(columns) != table.shape[1]:
        raise InputError(f"{len(columns)} names do not fit a table of {table.shape[1]} columns")
    pairs = zip(table.double().unbind(1), columns, strict=True)
    return torch.stack([_nearest(values, column) for values, column in pairs], 1)


def _nearest(values: Tensor, column: Column) -> Tensor:
    if not is_rounded(column):
        return values
    if column.levels is not None:
        near = _levels(column)[_index(values, column)]
    elif column.decimals is not None:
        near = values.double().round(decimals=column.decimals)
    else:
        near = values.double().round()
        near = near if column.value_range is None else near.clamp(*column.value_range)
    return torch.where(values.isfinite(), near, values.double())


def _levels(column: Column) -> Tensor:
    return torch.tensor(column.levels, dtype=torch.float64)


def _index(values: Tensor, column: Column) -> Tensor:
    """The number of the level that is nearest to each of some values."""
    levels = _levels(column)
    return torch.bucketize(values.double().contiguous(), (levels[1:] + levels[:-1]) / 2)


def typed(
    values: Tensor, column: Column, *, spelled: bool = False, exact: bool = False
) -> NDArray[Any]:
    """The values of a column, `(N,)`, in the type that they have in the file.

    Levels with words are these; but if they are spelled false and true, and not `spelled` has been
    asked for, they are booleans. Floating-point numbers have the precision of the values, or if
    `exact` that of the column. Raises `InputError` as `typed_array` does.
    """
    dtype = np.dtype(column.dtype)
    plain = tuple(word.lower() for word in column.words) == ("false", "true")
    if column.words and (spelled or not plain):
        _check_finite(values.numpy(), dtype)
        return np.array(column.words, dtype=object)[_index(values, column).numpy()]
    near = _nearest(values, column)
    return typed_array(near, None if dtype.kind == "f" and not exact else dtype)


def typed_array(x: Tensor, dtype: np.dtype[Any] | None) -> NDArray[Any]:
    """Numbers in a type of numpy, or in their own; those of integers are kept in its range, and
    halves that would overflow become singles.

    Raises `InputError` for numbers that are not finite in the place of integers and booleans.
    """
    array: NDArray[Any] = x.numpy()
    if array.dtype.kind != "f" or dtype is None:
        return array
    if dtype.kind in "iub":
        _check_finite(array, dtype)
    if dtype.kind == "b":
        return array > 0.5
    if dtype.kind in "iu":
        whole, limits = array.astype(np.float64).round(), np.iinfo(dtype)
        low, high = whole <= float(limits.min), whole >= float(limits.max)
        found: NDArray[Any] = np.where(low | high, 0.0, whole).astype(dtype)
        found[low], found[high] = limits.min, limits.max
        return found
    if dtype == np.float16 and np.abs(array).max(initial=0.0) > np.finfo(np.float16).max:
        dtype = np.dtype(np.float32)
    return array.astype(dtype)


def _check_finite(array: NDArray[Any], dtype: np.dtype[Any]) -> None:
    """Raise `InputError` for what no integer, truth or word can stand for."""
    bad = int((~np.isfinite(array)).sum())
    if bad:
        raise InputError(
            f"{bad} of {array.size} numbers are not finite, and data of {dtype} hold none such"
        )
