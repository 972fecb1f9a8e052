"""Items with names: lists of dictionaries, data sets of them, and those of Hugging Face.

What has `column_names` and `features` is read as a data set of `datasets` is: by columns, with the
names of the classes that a `ClassLabel` has. Nothing of that package is imported.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from pushforward import checks
from pushforward.data.arrays import numeric
from pushforward.data.cells import Cells
from pushforward.data.columns import choose, listed
from pushforward.data.frames import read_values
from pushforward.data.raw import Raw
from pushforward.errors import InputError

__all__ = [
    "first_rows",
    "is_array",
    "is_hub",
    "is_records",
    "is_splits",
    "plain",
    "read_hub",
    "read_records",
    "stacked",
    "typed",
]

_NUMBERS = re.compile(r"bool|u?int(8|16|32|64)|float(16|32|64)")


def is_records(source: Any) -> bool:
    """Whether something is a list of dictionaries, one for each row.

    >>> is_records([{"a": 1.0}]), is_records([1.0]), is_records([])
    (True, False, False)
    """
    return isinstance(source, list) and bool(source) and isinstance(source[0], Mapping)


def is_hub(source: Any) -> bool:
    """Whether something is a data set of Hugging Face, or goes by the same names."""
    return hasattr(source, "column_names") and hasattr(source, "features")


def is_splits(source: Any) -> bool:
    """Whether something is data sets by name, as a `DatasetDict` is, and not one of them.

    >>> is_splits({"train": {"a": [1.0]}, "test": {"a": [2.0]}}), is_splits({"a": [1.0]})
    (True, False)
    """
    if not isinstance(source, Mapping) or not source:
        return False
    return all(
        isinstance(part, (Mapping, Dataset)) or is_hub(part) or hasattr(part, "columns")
        for part in source.values()
    )


def first_rows(stream: Iterable[Any], n: Any, what: str) -> list[Any]:
    """The first `n` rows of a stream, or all that there are.

    Raises `InputError` unless `n` is a positive whole number.

    >>> first_rows(iter("abc"), 2, "the letters")
    ['a', 'b']
    """
    if n is None:
        raise InputError(
            f"{what} is a stream without a length: n=1000 reads its first 1000 rows; or give a "
            "data set that is no stream"
        )
    return list(islice(stream, checks.whole("n", n)))


def read_hub(
    dataset: Any, label: Any = None, columns: Any = None, n: int | None = None, **written: Any
) -> Raw:
    """The columns of a data set of Hugging Face: a table, or one column of pictures or arrays.

    `label` is the only `ClassLabel` by default, whose names become the classes; `False` leaves it
    out. Of a stream, the first `n` rows are read. The columns that its format leaves out are, and
    the items are those of its transform. Raises `InputError` for streams without `n`, and as
    `read_records` does.
    """
    what = type(dataset).__name__
    features = dataset.features or {}
    form = getattr(dataset, "format", None) or {}
    # Other formats, such as that of torch, would cut what they convert; a transform is the user's.
    kept = form.get("type") == "custom" or not hasattr(dataset, "with_format")
    plain_set = dataset if kept else dataset.with_format(None)
    if not hasattr(dataset, "__len__"):
        rows = first_rows(plain_set, n, what)
    elif form.get("type") == "custom":
        rows = [dataset[i] for i in range(len(dataset))]
    else:
        names = list(dataset.column_names)
        if not form.get("output_all_columns", True):
            names = [name for name in names if name in form["columns"]]
        cells = Cells(**written)
        return _columns(
            names, lambda name: plain_set[name][:], label, columns, what, features, cells
        )
    return read_records(rows, what, label, columns, features, **written)


def read_records(
    rows: Sequence[Any],
    what: str,
    label: Any = None,
    columns: Any = None,
    features: Mapping[str, Any] | None = None,
    **written: Any,
) -> Raw:
    """Dictionaries, one for each row: a table of their numbers, or one column of arrays.

    `label` and `columns` are names, as of a table. A key that a row lacks is a missing value.
    `features` are what a data set of Hugging Face knows of its columns, `written` are `missing` and
    `since` of `cells.Cells`.
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
        list(names),
        lambda name: [row.get(name) for row in by_name],
        label,
        columns,
        what,
        features or {},
        Cells(**written),
    )


def _columns(
    names: list[str],
    column: Callable[[str], Sequence[Any]],
    label: Any,
    columns: Any,
    what: str,
    features: Mapping[str, Any],
    cells: Cells,
) -> Raw:
    """A table, or one column of arrays, with the types and the classes of its features."""
    named = {name: tuple(features[name].names) for name in names if _has_names(features, name)}
    if label is None and len(named) == 1:
        label = next(iter(named))
    chosen, target = choose(names, what, label, columns)
    wanted = {*chosen, *(() if target is None else (target,))}
    found = {i: [plain(value) for value in column(names[i])] for i in sorted(wanted)}
    arrays = [i for i in chosen if any(is_array(value) for value in found[i][:1])]
    if arrays and len(chosen) > 1:
        one = names[arrays[0]]
        raise InputError(
            f"{what} has {listed([names[i] for i in chosen])}, and {one!r} holds pictures or "
            f"arrays: choose one such column, columns=[{one!r}], or columns of single numbers"
        )
    name = None if target is None else names[target]
    classes = () if name is None else named.get(name, ())
    if target is not None and any(isinstance(value, str) for value in found[target]):
        classes = ()  # A transform has put the names in the place of the numbers.
    if arrays:
        x = stacked(found[chosen[0]], f"{what}, column {names[chosen[0]]!r}")
        labels = None if target is None else np.asarray(found[target], dtype=object)
        raw = Raw(x, labels, what, _place, label=name)
    else:
        values = [
            typed(found[i], _dtype(features.get(name))) if i in found else []
            for i, name in enumerate(names)
        ]
        # Whose rows are counted first must be there.
        order = [*chosen, *(i for i in range(len(names)) if i not in chosen)]
        raw = read_values(
            [names[i] for i in order],
            [values[i] for i in order],
            name,
            [names[i] for i in chosen],
            what,
            cells,
            _place,
        )
    if not classes or raw.labels is None:
        return raw
    return dataclasses.replace(raw, labels=_codes(raw.labels, classes, what), classes=classes)


def _has_names(features: Mapping[str, Any], name: str) -> bool:
    return isinstance(getattr(features.get(name), "names", None), (list, tuple))


def plain(value: Any) -> Any:
    """A number of numpy or torch as one of Python; all else as it is."""
    single = hasattr(value, "item") and np.ndim(value) == 0 and not isinstance(value, str)
    return value.item() if single else value


def is_array(value: Any) -> bool:
    return isinstance(value, (list, tuple)) or hasattr(value, "__array__") or _is_picture(value)


def _is_picture(value: Any) -> bool:
    return hasattr(value, "__array_interface__")


def stacked(values: list[Any], what: str) -> NDArray[Any]:
    """Arrays of one shape, one below the other."""
    states = [numeric(value, f"{what}, item {i}") for i, value in enumerate(values)]
    for i, state in enumerate(states):
        if state.shape != states[0].shape:
            raise InputError(
                f"{what}, item {i} has shape {state.shape}, but item 0 has {states[0].shape}: "
                "all data points must have one shape"
            )
    return np.stack(states)


def typed(values: list[Any], dtype: np.dtype[Any] | None = None) -> NDArray[Any] | list[Any]:
    """Numbers of one kind as an array, of a type of that kind; what has gaps or words as it is.

    >>> typed([1, 2], np.dtype("int8")).dtype, typed([1, None])
    (dtype('int8'), [1, None])
    """
    kinds = {type(value) for value in values}
    if kinds not in ({int}, {float}, {bool}, {int, float}):
        return values
    array = np.asarray(values)
    return (
        array.astype(dtype) if dtype is not None and _kind(dtype) == _kind(array.dtype) else array
    )


def _kind(dtype: np.dtype[Any]) -> str:
    return "i" if dtype.kind == "u" else dtype.kind


def _dtype(feature: Any) -> np.dtype[Any] | None:
    """The type of a feature of numbers."""
    name = getattr(feature, "dtype", None)
    return np.dtype(name) if isinstance(name, str) and _NUMBERS.fullmatch(name) else None


def _codes(labels: NDArray[Any], classes: tuple[str, ...], what: str) -> NDArray[Any]:
    """Numbers of classes with names. Raises `InputError` for those that are missing, or -1."""
    for i, value in enumerate(map(plain, labels)):
        if value is None or not 0 <= value < len(classes):
            raise InputError(
                f"{what}, {_place(i)}: label {value!r} is none of the {len(classes)} classes "
                f"{listed(classes)}: leave such items out, or the labels with label=False"
            )
    return labels.astype(np.int64)


def _place(i: int) -> str:
    return f"item {i}"
