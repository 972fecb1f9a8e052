"""Dictionaries in memory: a column for each name, or the arrays of a file by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pushforward.data.arrays import numeric
from pushforward.data.cells import Cells
from pushforward.data.formats import refuse
from pushforward.data.frames import column_values, read_values
from pushforward.data.members import Chosen, read_members
from pushforward.data.named_items import is_array, plain, stacked, typed
from pushforward.data.raw import Raw
from pushforward.errors import InputError

__all__ = ["read_dict"]

_WHAT = "the dictionary"

_OF_TABLES, _OF_ARRAYS = ("columns", "missing", "since", "given"), ("key",)


def read_dict(entries: Mapping[Any, Any], label: Any, given: dict[str, Any]) -> Raw:
    """A dictionary of columns as a data frame of them, one of larger arrays as an `.npz` of them.

    Columns are arrays, tensors, series or lists with one value for each row; `given` are the
    options `columns`, `missing`, `since` and `given` of a data frame. If an entry has more than one
    axis, or with `key`, that entry is the data, as in a file: `x` or the only one by default, with
    labels in `c`, `y` or `labels`. Raises `InputError` for entries that are no columns or have
    different lengths, and as `read_frame` and `read_npz` do.

    >>> raw = read_dict({"weight": [4.0, 30.0], "kind": ["cat", "dog"]}, "kind", {})
    >>> raw.x.tolist(), raw.labels.tolist(), raw.columns[0].name
    ([[4.0], [30.0]], ['cat', 'dog'], 'weight')
    >>> raw = read_dict({"x": np.zeros((2, 3)), "y": [1, 0]}, None, {})
    >>> raw.x.shape, raw.labels.tolist(), raw.label
    ((2, 3), [1, 0], 'y')
    """
    if not entries:
        raise InputError(f"{_WHAT} is empty: give a column or an array for each name")
    found = {str(name): _values(value, str(name)) for name, value in entries.items()}
    whole = any(isinstance(values, np.ndarray) and values.ndim > 1 for values in found.values())
    if whole or "key" in given:
        refuse(given, _OF_ARRAYS, "a dictionary of arrays")
        chosen = Chosen(given.get("key"), label)
        return read_members(_WHAT, list(found), lambda name: np.asarray(found[name]), chosen)
    refuse(given, _OF_TABLES, "a dictionary of columns")
    sizes = {name: len(values) for name, values in found.items()}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{name!r} {size}" for name, size in list(sizes.items())[:10])
        raise InputError(f"{_WHAT} has columns of different lengths: {told}")
    columns = given.get("columns")
    cells = Cells(**{option: given[option] for option in _OF_TABLES[1:] if option in given})
    return read_values(list(found), list(found.values()), label, columns, _WHAT, cells)


def _values(value: Any, name: str) -> NDArray[Any] | list[Any]:
    """Numbers as an array with its type, all else as a list with a value for each row."""
    what = f"{_WHAT}, entry {name!r}"
    if hasattr(value, "isna") and hasattr(value, "to_numpy"):
        return column_values(value)
    if isinstance(value, (list, tuple, range)):
        rows = [plain(row) for row in value]
        return stacked(rows, what) if any(map(is_array, rows[:1])) else typed(rows)
    if not isinstance(value, torch.Tensor) and not hasattr(value, "__array__"):
        raise InputError(
            f"{what} is a {type(value).__name__}: each entry is an array or a list with one value "
            "for each row"
        )
    array = value if isinstance(value, torch.Tensor) else np.asanyarray(value)
    if array.ndim == 0:
        raise InputError(f"{what} is a single value: give one for each row")
    if isinstance(array, torch.Tensor) or array.dtype.kind not in "OUSM":
        return numeric(array, what)
    if array.dtype.kind == "M":
        # Finer than microseconds, Python has numbers of nanoseconds.
        array = array.astype("datetime64[us]")
    texts: list[Any] = array.tolist()
    return texts
