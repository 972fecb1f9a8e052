"""Items with names: lists of dictionaries, data sets of them, and those of Hugging Face.

What has `column_names` and `features` is read as a data set of `datasets` is: by columns, with the
names of the classes that a `ClassLabel` has. Nothing of that package is imported.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.data.arrays import numeric
from pushforward.data.cells import Cells
from pushforward.data.columns import choose, listed
from pushforward.data.frames import read_values
from pushforward.data.raw import Raw
from pushforward.errors import InputError

__all__ = ["is_hub", "is_records", "read_hub", "read_records"]


def is_records(source: Any) -> bool:
    """Whether something is a list of dictionaries, one for each row.

    >>> is_records([{"a": 1.0}]), is_records([1.0]), is_records([])
    (True, False, False)
    """
    return isinstance(source, list) and bool(source) and isinstance(source[0], Mapping)


def is_hub(source: Any) -> bool:
    """Whether something is a data set of Hugging Face, or goes by the same names."""
    return hasattr(source, "column_names") and hasattr(source, "features")


def read_hub(dataset: Any, label: Any = None, columns: Any = None) -> Raw:
    """The columns of a data set of Hugging Face: a table, or one column of pictures or arrays.

    `label` is the only `ClassLabel` by default, whose names become the classes; `False` leaves it
    out. Raises `InputError` for streams, and as `read_records` does.
    """
    what = type(dataset).__name__
    if not hasattr(dataset, "__len__"):
        raise InputError(f"{what} is a stream: load it without streaming=True, or a part of it")
    # Another format, such as that of torch, would cut what it converts.
    plain = dataset.with_format(None) if hasattr(dataset, "with_format") else dataset
    names = list(dataset.column_names)
    features = dataset.features or {}
    named = {name: tuple(features[name].names) for name in names if _has_names(features, name)}
    if label is None and len(named) == 1:
        label = next(iter(named))
    table = plain[:]
    return _columns(names, table.__getitem__, label, columns, what, named)


def read_records(rows: Sequence[Any], what: str, label: Any = None, columns: Any = None) -> Raw:
    """Dictionaries, one for each row: a table of their numbers, or one column of arrays.

    `label` and `columns` are names, as of a table. A key that a row lacks is a missing value.
    Raises `InputError` for rows that are no dictionaries, columns that do not fit together, and
    whatever is no number.

    >>> pets = [{"weight": 4.0, "kind": "cat"}, {"weight": 30.0, "kind": "dog"}]
    >>> raw = read_records(pets, "the list", label="kind")
    >>> raw.x.tolist(), raw.labels.tolist(), raw.columns[0].name
    ([[4.0], [30.0]], ['cat', 'dog'], 'weight')
    """
    names: dict[str, None] = {}
    for i, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise InputError(
                f"{what}: item {i} is a {type(row).__name__}, but the ones before are dictionaries"
            )
        names |= dict.fromkeys(map(str, row))
    by_name = [{str(key): value for key, value in row.items()} for row in rows]
    return _columns(
        list(names), lambda name: [row.get(name) for row in by_name], label, columns, what, {}
    )


def _columns(
    names: list[str],
    column: Callable[[str], Sequence[Any]],
    label: Any,
    columns: Any,
    what: str,
    named: Mapping[str, tuple[str, ...]],
) -> Raw:
    """A table, or one column of arrays, with the classes of those columns that have names."""
    chosen, target = choose(names, what, label, columns)
    wanted = {*chosen, *(() if target is None else (target,))}
    found = {i: [_plain(value) for value in column(names[i])] for i in sorted(wanted)}
    arrays = [i for i in chosen if any(_is_array(value) for value in found[i][:1])]
    if arrays and len(chosen) > 1:
        one = names[arrays[0]]
        raise InputError(
            f"{what} has {listed([names[i] for i in chosen])}, and {one!r} holds pictures or "
            f"arrays: choose one such column, columns=[{one!r}], or columns of single numbers"
        )
    name = None if target is None else names[target]
    classes = () if name is None else named.get(name, ())
    if arrays:
        x = _stacked(found[chosen[0]], f"{what}, column {names[chosen[0]]!r}")
        labels = None if target is None else np.asarray(found[target], dtype=object)
        raw = Raw(x, labels, what, _place, label=name)
    else:
        values = [_typed(found[i]) if i in found else [] for i in range(len(names))]
        # Whose rows are counted first must be there.
        order = [*chosen, *(i for i in range(len(names)) if i not in chosen)]
        raw = read_values(
            [names[i] for i in order],
            [values[i] for i in order],
            name,
            [names[i] for i in chosen],
            what,
            Cells(),
            _place,
        )
    if not classes or raw.labels is None:
        return raw
    return dataclasses.replace(raw, labels=_codes(raw.labels, classes, what), classes=classes)


def _has_names(features: Mapping[str, Any], name: str) -> bool:
    return isinstance(getattr(features.get(name), "names", None), (list, tuple))


def _plain(value: Any) -> Any:
    """A number of numpy or torch as one of Python; all else as it is."""
    single = hasattr(value, "item") and np.ndim(value) == 0 and not isinstance(value, str)
    return value.item() if single else value


def _is_array(value: Any) -> bool:
    return isinstance(value, (list, tuple)) or hasattr(value, "__array__") or _is_picture(value)


def _is_picture(value: Any) -> bool:
    return hasattr(value, "__array_interface__")


def _stacked(values: list[Any], what: str) -> NDArray[Any]:
    """Arrays of one shape, one below the other."""
    states = [numeric(value, f"{what}, item {i}") for i, value in enumerate(values)]
    for i, state in enumerate(states):
        if state.shape != states[0].shape:
            raise InputError(
                f"{what}, item {i} has shape {state.shape}, but item 0 has {states[0].shape}: "
                "all data points must have one shape"
            )
    return np.stack(states)


def _typed(values: list[Any]) -> NDArray[Any] | list[Any]:
    """Numbers of one kind as an array, which keeps their type; what has gaps or words as it is."""
    kinds = {type(value) for value in values}
    if kinds in ({int}, {float}, {bool}, {int, float}):
        return np.asarray(values)
    return values


def _codes(labels: NDArray[Any], classes: tuple[str, ...], what: str) -> NDArray[Any]:
    """Numbers of classes with names. Raises `InputError` for those that are missing, or -1."""
    for i, value in enumerate(map(_plain, labels)):
        if value is None or not 0 <= value < len(classes):
            raise InputError(
                f"{what}, {_place(i)}: label {value!r} is none of the {len(classes)} classes "
                f"{listed(classes)}: leave such items out, or the labels with label=False"
            )
    return labels.astype(np.int64)


def _place(i: int) -> str:
    return f"item {i}"
