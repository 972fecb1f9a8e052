"""Class labels from whatever names the classes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.data.schema import Value
from pushforward.errors import InputError

__all__ = ["MOST_CLASSES", "encode"]

MOST_CLASSES = 10_000

Naming = Callable[[int], str]

_WHOLE = re.compile(r"[+-]?(0|[1-9]\d{0,17})")
_CODE = re.compile(r"[+-]?0\d")
"""Postal codes and the like: 01234 is another text than 1234, and no number."""


def encode(labels: NDArray[Any], source: str, row: Naming) -> tuple[Tensor, tuple[Value, ...]]:
    """Labels `(N,)` as codes `(N,)`, int64, and the value that each code stands for.

    The values are numbered in sorted order, those that do not occur have no number. They keep
    their types; text is read as whole numbers or booleans if all of it is. Raises `InputError` for
    fractions, missing labels, one-hot rows and too many values to be classes.

    >>> encode(np.array(["cat", "ant", "cat"]), "pets.csv", str)
    (tensor([1, 0, 1]), ('ant', 'cat'))
    >>> encode(np.array(["2021", "2019"]), "years.csv", str)
    (tensor([1, 0]), (2019, 2021))
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise InputError(
            f"{source}: labels have shape (N,), not {labels.shape}; "
            "if these are one-hot rows, give their argmax"
        )
    if labels.dtype.kind in "OUS":
        labels = _typed(_words(labels, source, row))
    if labels.dtype.kind not in "iufUb":
        raise InputError(f"{source}: labels of dtype {labels.dtype} cannot name classes")
    if labels.dtype.kind == "f":
        whole = np.isfinite(labels) & (labels == np.round(labels))
        if not whole.all():
            first = int(np.argmin(whole))
            raise InputError(
                f"{source}, {row(first)}: label {labels[first]} is not a whole number, so it names "
                "no class: choose another label, or none with label=False"
            )
    values, codes = np.unique(labels, return_inverse=True)
    if len(values) > MOST_CLASSES:
        raise InputError(
            f"{source}: {len(values)} different labels among {len(labels)} rows are too many to be "
            f"classes (the limit is {MOST_CLASSES}): choose another label, or none with label=False"
        )
    return torch.tensor(codes.astype(np.int64)), tuple(values.tolist())


def _words(labels: NDArray[Any], source: str, row: Naming) -> list[Any]:
    """Labels of no one dtype, text stripped; none of them missing."""
    words: list[Any] = []
    for i, label in enumerate(labels.tolist()):
        # A missing cell is None, a NaN (the one value not equal to itself), or empty text.
        text = "" if label is None or label != label else label
        word = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        word = word.strip() if isinstance(word, str) else word
        if word == "":
            raise InputError(
                f"{source}, {row(i)}: the label is missing: fill it in, leave the row out, "
                "or use no labels with label=False"
            )
        words.append(word)
    return words


def _typed(words: list[Any]) -> NDArray[Any]:
    """Labels as booleans or numbers if each of them is one or reads as one, or else as text."""
    kinds = {type(word) for word in words}
    if len(kinds) == 1 and kinds <= {bool, int, float}:
        return np.array(words)
    texts = [str(word) for word in words]
    if set(texts) <= {"True", "False"}:
        return np.array([text == "True" for text in texts])
    if all(map(_WHOLE.fullmatch, texts)):
        return np.array([int(text) for text in texts])
    if all(_is_number(text) for text in texts):
        return np.array([float(text) for text in texts])
    return np.array(texts)


def _is_number(word: str) -> bool:
    if _CODE.match(word):
        return False
    try:
        # Python reads "1_0" and "nan" as numbers; as labels they are names.
        return "_" not in word and bool(np.isfinite(float(word)))
    except ValueError:
        return False
