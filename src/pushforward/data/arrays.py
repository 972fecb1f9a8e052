"""Arrays, tensors, and numpy's files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

from pushforward.data.declared import check_npy
from pushforward.data.raw import Raw
from pushforward.errors import InputError

__all__ = [
    "LABEL_KEYS",
    "given_labels",
    "load_numpy",
    "numeric",
    "read_array",
    "read_named",
    "read_npy",
    "unreadable",
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
    if array.dtype.kind in "mM":
        since = "x - x.min()" if array.dtype.kind == "M" else "x"
        raise InputError(
            f"{what} holds times ({array.dtype}), not numbers: convert them to days, "
            f"({since}) / np.timedelta64(1, 'D')"
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
        array = load_numpy(file, path)
        if not isinstance(array, np.ndarray):
            raise InputError(f"{path} is an .npz archive under another name: rename it")
    if isinstance(label, str) and label.removeprefix("-").isdecimal():
        label = int(label)  # as the command line has it
    return read_array(array, label, str(path))


def load_numpy(file: BinaryIO, path: Path) -> Any:
    """The array or archive in a file of numpy, whose header is checked before it is believed.

    Raises `InputError` for anything else, and for more than there is memory for.
    """
    check_npy(file, os.fstat(file.fileno()).st_size, str(path))
    file.seek(0)
    try:
        return np.load(file, allow_pickle=False)
    except Exception as error:  # a damaged file can raise nearly anything
        raise InputError(unreadable(path, error)) from None


def unreadable(path: Path, error: Exception, where: str = "") -> str:
    """Why a file of numpy, or an array in it, could not be read."""
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
