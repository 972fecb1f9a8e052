"""Arrays, tensors, and numpy's files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

from pushforward.data.columns import closest
from pushforward.data.raw import Raw
from pushforward.errors import InputError

__all__ = [
    "LABEL_KEYS",
    "given_labels",
    "numeric",
    "read_array",
    "read_named",
    "read_npy",
    "read_npz",
]

LABEL_KEYS = ("c", "y", "labels")


def numeric(value: Any, what: str) -> NDArray[Any]:
    """A tensor, array or nested list of real numbers as an array of booleans, integers or floats.

    Raises `InputError` for ragged lists and for text, objects, records, dates and complex numbers.

    >>> numeric([[1, 2], [3, 4]], "the list").shape
    (2, 2)
    """
    if isinstance(value, torch.Tensor):
        value = value.detach()
        if value.layout != torch.strided or value.is_quantized:
            raise InputError(f"{what} is a sparse or quantized tensor: give a dense one")
        # numpy has no bfloat16, and half precision is exact in float32.
        narrow = value.is_floating_point() and value.element_size() < 4
        array = (value.float() if narrow else value).cpu().resolve_conj().resolve_neg().numpy()
    elif isinstance(value, np.ma.MaskedArray):
        masked = np.ma.getmaskarray(value)
        array = np.ma.filled(value.astype(np.float64), np.nan) if masked.any() else value.data
    else:
        try:
            array = np.asarray(value)
        except ValueError as error:
            raise InputError(f"{what} is ragged: all rows must have one shape ({error})") from None
    if array.dtype.names:
        raise InputError(
            f"{what} has named fields {array.dtype.names}: make it a plain array with "
            "numpy.lib.recfunctions.structured_to_unstructured"
        )
    if array.dtype.kind == "c":
        raise InputError(
            f"{what} is complex ({array.dtype}): stack real and imaginary parts as two features, "
            "np.stack([x.real, x.imag], -1)"
        )
    if array.dtype.kind not in "biuf":
        raise InputError(
            f"{what} has dtype {array.dtype}, not numbers: convert it with x.astype('float32')"
        )
    return array


def read_array(value: Any, label: Any, source: str = "the array") -> Raw:
    """Data in memory; `label` is `(N,)` labels, a column of an `(N, d)` array, or `None`.

    >>> read_array(np.eye(3), [0, 1, 1]).labels.tolist()
    [0, 1, 1]
    """
    x = numeric(value, source)
    if label is None or label is False:
        return Raw(x, None, source)
    if isinstance(label, (int, np.integer)) and not isinstance(label, bool):
        return _column_as_label(x, int(label), source)
    return Raw(x, given_labels(label, source), source)


def given_labels(label: Any, source: str) -> NDArray[Any] | None:
    """The labels themselves, `(N,)`; `None` for none. Raises `InputError` for a name or a number.

    >>> given_labels([0, 1], "the array").tolist()
    [0, 1]
    """
    if label is None or label is False:
        return None
    if isinstance(label, (str, bool)):
        raise InputError(
            f"label={label!r}: {source} has no names; give the labels themselves (an array of one "
            "per row) or the number of a column"
        )
    if isinstance(label, torch.Tensor):
        label = label.detach().cpu().numpy()
    try:
        labels = np.asarray(label)
    except ValueError as error:
        raise InputError(f"the labels of {source} are ragged ({error})") from None
    if labels.ndim == 0:
        raise InputError(f"label={label!r}: give one label per row of {source}")
    return labels


def read_named(arrays: Mapping[str, Any], label: Any = None) -> Raw:
    """Arrays in memory by name, which together are states of a space; `label` is `(N,)` labels."""

    def converted(part: Any, name: str) -> Any:
        if isinstance(part, Mapping):
            return {str(key): converted(value, f"{name}{key}.") for key, value in part.items()}
        return numeric(part, f"the array {name.rstrip('.')}")

    return Raw(converted(arrays, ""), given_labels(label, "the arrays"), "the arrays")


def read_npy(path: Path, label: Any) -> Raw:
    """A `.npy` file of numbers; `label` as for `read_array`. Nothing in it is unpickled.

    Raises `InputError` for damaged files and for pickled objects.
    """
    with path.open("rb") as file:
        array = _parse(file, path)
        if not isinstance(array, np.ndarray):
            raise InputError(f"{path} is an .npz archive under another name: rename it")
    return read_array(array, label, str(path))


def read_npz(
    path: Path,
    key: str | None,
    label: Any,
    parts: Sequence[str] = (),
    label_key: str | None = None,
) -> Raw:
    """An `.npz` archive: the array `key`, or `x`, or the only one; labels `c`, `y` or `labels`.

    With the names of the `parts` of a state, these are read together if all are there, and so are
    arrays named `x.0`, `x.1`, `x.mask`, ..., which are the parts of states that were written.
    `label` names another array of labels, or `False` for none; by default labels are also looked
    for under `label_key`, which may be missing. Raises `InputError` for damaged
    archives, pickled objects, and archives in which the data cannot be told apart.
    """
    with path.open("rb") as file:
        archive = _parse(file, path)
        if isinstance(archive, np.ndarray):
            raise InputError(f"{path} is a single .npy array under another name: rename it")
        keys = list(archive.files)
        if not keys:
            raise InputError(f"{path} is an archive without arrays")
        wanted = label if isinstance(label, str) else None
        if label is None:
            likely = LABEL_KEYS if label_key is None else (label_key, *LABEL_KEYS)
            wanted = next((k for k in likely if k in keys and k != key), None)
        named = _named(keys, parts) if key is None else {}
        if key is None and not named:
            rest = [k for k in keys if k not in LABEL_KEYS and k != wanted]
            key = "x" if "x" in keys else rest[0] if len(rest) == 1 else None
        if key is None and len(keys) == 1:
            key = keys[0]
        if key is None and not named:
            raise InputError(
                f"{path} holds the arrays {', '.join(keys)}: say which is the data with key=, "
                "and which the labels with label="
            )
        x: Any = {}
        if key is not None:
            named = {key: ()}
        for name, place in named.items():
            array = numeric(_member(archive, name, path), f"{path}, array {name!r}")
            x = _put(x, place, array)
        if wanted is not None and (wanted != key or label is not None):
            labels = np.asarray(_member(archive, wanted, path))
            if labels.ndim == 0:
                raise InputError(f"{path}, array {wanted!r} is a single value, not labels")
            return Raw(x, labels, str(path), label=wanted)
    return Raw(x, None, str(path)) if named else read_array(x, label, str(path))


def _named(keys: list[str], parts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The arrays that make states together, each with its place among nested names."""
    if not parts:
        return {}
    written = {k: tuple(k.split(".")[1:]) for k in keys if k.startswith("x.")}
    if written:
        return written
    whole = len(parts) > 1 and set(parts) <= set(keys)
    return {name: (name,) for name in parts} if whole else {}


def _put(named: Any, place: tuple[str, ...], array: NDArray[Any]) -> Any:
    """Nested names with an array at a place."""
    if not place:
        return array
    return {**named, place[0]: _put(named.get(place[0], {}), place[1:], array)}


def _parse(file: BinaryIO, path: Path) -> Any:
    try:
        return np.load(file, allow_pickle=False)
    except Exception as error:  # a damaged file can raise nearly anything
        raise InputError(_unreadable(path, error)) from None


def _member(archive: Any, key: str, path: Path) -> NDArray[Any]:
    if key not in archive.files:
        raise InputError(
            f"{path} has no array {key!r}{closest(key, archive.files)}; "
            f"it holds {', '.join(archive.files)}"
        )
    try:
        array: NDArray[Any] = archive[key]
    except Exception as error:  # as above; members are read one by one
        raise InputError(_unreadable(path, error, f", array {key!r}")) from None
    return array


def _unreadable(path: Path, error: Exception, where: str = "") -> str:
    if "pickle" in str(error):
        return (
            f"{path}{where} holds pickled Python objects (or is no numpy file), and reading those "
            "can run code: save plain numbers, np.save(path, x.astype('float32'))"
        )
    if isinstance(error, MemoryError):
        return f"{path}{where} does not fit in memory ({error}): give a part of it"
    return f"{path}{where} is damaged or not a numpy file ({error}): save it again"


def _column_as_label(x: NDArray[Any], label: int, source: str) -> Raw:
    if x.ndim != 2 or not -x.shape[1] <= label < x.shape[1]:
        raise InputError(
            f"label={label}: {source} of shape {x.shape} has no such column; give the labels "
            "themselves, an array of one per row"
        )
    return Raw(np.delete(x, label, axis=1), x[:, label], source)
