"""Class labels from whatever names the classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.errors import InputError

__all__ = ["MOST_CLASSES", "encode"]

MOST_CLASSES = 10_000

Naming = Callable[[int], str]


def encode(labels: NDArray[Any], source: str, row: Naming) -> tuple[Tensor, tuple[str, ...]]:
    """Labels `(N,)` as int64 `(N,)`, and the name of each class.

    Whole numbers from 0 up stay as they are, also when written as text or floats; anything else
    (text, negative numbers, booleans) is numbered in sorted order. Raises `InputError` for
    fractions, missing labels, one-hot rows and numbers too large to be classes.

    >>> encode(np.array(["cat", "ant", "cat"]), "pets.csv", str)
    (tensor([1, 0, 1]), ('ant', 'cat'))
    >>> encode(np.array([0.0, 2.0]), "pets.csv", str)
    (tensor([0, 2]), ('0', '1', '2'))
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise InputError(
            f"{source}: labels have shape (N,), not {labels.shape}; "
            "if these are one-hot rows, give their argmax"
        )
    if labels.dtype.kind in "OUS":
        labels = _read_text(labels, source, row)
    if labels.dtype.kind in "Ub":
        return _numbered(labels)
    if labels.dtype.kind not in "iuf":
        raise InputError(f"{source}: labels of dtype {labels.dtype} cannot name classes")
    whole = np.isfinite(labels) & (labels == np.round(labels))
    if not whole.all():
        first = int(np.argmin(whole))
        raise InputError(
            f"{source}, {row(first)}: label {labels[first]} is not a whole number, so it names no "
            "class: choose another label, or none with label=False"
        )
    # Python's int has no smallest value whose absolute value overflows.
    largest = max(abs(int(labels.min())), abs(int(labels.max())))
    if largest >= MOST_CLASSES:
        raise InputError(
            f"{source}: labels as large as {largest} look like numbers, not classes (the limit is "
            f"{MOST_CLASSES} classes): choose another label, or none with label=False"
        )
    codes = labels.astype(np.int64)
    if codes.min() < 0:
        return _numbered(codes)
    return torch.tensor(codes), tuple(map(str, range(int(codes.max()) + 1)))


def _numbered(labels: NDArray[Any]) -> tuple[Tensor, tuple[str, ...]]:
    names, codes = np.unique(labels, return_inverse=True)
    return torch.tensor(codes.astype(np.int64)), tuple(map(str, names.tolist()))


def _read_text(labels: NDArray[Any], source: str, row: Naming) -> NDArray[Any]:
    """Text labels stripped; numbers if each of them reads as one."""
    words: list[str] = []
    for i, label in enumerate(labels.tolist()):
        # A missing cell is None, a NaN (the one value not equal to itself), or empty text.
        text = "" if label is None or label != label else label
        word = (text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)).strip()
        if not word:
            raise InputError(
                f"{source}, {row(i)}: the label is missing: fill it in, leave the row out, "
                "or use no labels with label=False"
            )
        words.append(word)
    if all(map(_is_number, words)):
        return np.array([float(word) for word in words])
    kinds = len(set(words))
    if kinds > MOST_CLASSES:
        raise InputError(
            f"{source}: {kinds} different labels among {len(words)} rows are too many to be "
            f"classes (the limit is {MOST_CLASSES}): choose another label"
        )
    return np.array(words)


def _is_number(word: str) -> bool:
    try:
        # Python reads "1_0" and "nan" as numbers; as labels they are names.
        return "_" not in word and bool(np.isfinite(float(word)))
    except ValueError:
        return False
