"""Data sets of PyTorch: anything with a length and numbered items, and the start of streams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader, IterableDataset

from pushforward.data.arrays import numeric
from pushforward.data.named_items import first_rows, read_records
from pushforward.data.raw import Raw
from pushforward.errors import InputError

__all__ = ["is_items", "is_pair", "read_items"]


def is_items(source: Any) -> bool:
    """Whether `source` has a length and items, and is not itself an array of numbers.

    >>> is_items(np.eye(2)), is_items([1.0, 2.0]), is_items(DataLoader([1.0]))
    (False, False, True)
    """
    if isinstance(source, (DataLoader, IterableDataset)):
        return True
    if isinstance(source, (list, tuple)) or hasattr(source, "__array__"):
        return False
    return hasattr(source, "__len__") and hasattr(source, "__getitem__")


def is_pair(source: Any) -> bool:
    """Whether `source` is `(x, y)`: data, and a label for each row.

    >>> is_pair((np.eye(3), [0, 1, 1])), is_pair((np.zeros(3), np.ones(3)))
    (True, False)
    """
    if not isinstance(source, tuple) or len(source) != 2:
        return False
    try:
        x, y = (np.asarray(part) for part in source)
    except (TypeError, ValueError):
        return False
    # Two rows of numbers are data.
    return x.ndim >= 1 and y.shape == x.shape[:1] and (x.ndim > 1 or y.dtype.kind != "f")


def read_items(
    dataset: Any, label: Any = None, columns: Any = None, n: int | None = None, **written: Any
) -> Raw:
    """The items of a map-style data set, each `x` or `(x, label)`; read once, in order.

    Of a stream, an `IterableDataset`, the first `n` are read. Dictionaries are rows with names,
    whose `columns` and `label` are chosen as those of a table; `written` are `missing` and `since`
    of `cells.Cells`. Else `label=False` leaves the labels out. Raises `InputError` for streams
    without `n`, loaders, and items of different shapes; an error inside the data set is let
    through.

    >>> import torch
    >>> from torch.utils.data import TensorDataset
    >>> raw = read_items(TensorDataset(torch.zeros(3, 2), torch.tensor([0, 1, 1])))
    >>> raw.x.shape, raw.labels.tolist()
    ((3, 2), [0, 1, 1])
    """
    what = type(dataset).__name__
    if isinstance(dataset, DataLoader):
        raise InputError(f"{what} serves batches: give its loader.dataset")
    if isinstance(dataset, IterableDataset):
        dataset = first_rows(dataset, n, what)
    if len(dataset) > 0 and isinstance(dataset[0], Mapping):
        rows = [dataset[i] for i in range(len(dataset))]
        return read_records(rows, what, label, columns, **written)
    for option, value in {"columns": columns, **written}.items():
        if value is not None:
            raise InputError(f"{option}={value!r}: the items of {what} have no names")
    if label is not None and label is not False:
        raise InputError(
            f"label={label!r}: the labels of a Dataset are the second entry of its items (x, "
            "label); label=False leaves them out"
        )
    states: list[NDArray[Any]] = []
    labels: list[Any] = []
    for i in range(len(dataset)):
        x, c = _parts(dataset[i], i, what)
        state = numeric(x, f"{what}, item {i}")
        if states and state.shape != states[0].shape:
            raise InputError(
                f"{what}, item {i} has shape {state.shape}, but item 0 has {states[0].shape}: "
                "all data points must have one shape"
            )
        states.append(state)
        if c is not None and label is None:
            labels.append(c.item() if hasattr(c, "item") and np.ndim(c) == 0 else c)
        if label is None and len(labels) not in (0, i + 1):
            raise InputError(f"{what}: item {i} and the items before it do not all have labels")
    x = np.stack(states) if states else np.empty((0, 1))
    if not labels:
        return Raw(x, None, what, row=lambda i: f"item {i}")
    try:
        array = np.asarray(labels)
    except ValueError:
        raise InputError(f"{what}: its labels have different shapes: give label=False") from None
    return Raw(x, array, what, row=lambda i: f"item {i}")


def _parts(item: Any, i: int, what: str) -> tuple[Any, Any]:
    if isinstance(item, Mapping):
        raise InputError(
            f"{what}: item {i} is a {type(item).__name__}, but the ones before are none"
        )
    if not isinstance(item, tuple):
        return item, None
    if len(item) not in (1, 2):
        raise InputError(f"{what}, item {i} has {len(item)} entries: items are x or (x, label)")
    return item[0], item[1] if len(item) == 2 else None
