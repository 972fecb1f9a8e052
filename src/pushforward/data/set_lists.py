"""Sets of points as arrays, one point after the other, with the number of points of each set."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.data import formats
from pushforward.data.column import Column
from pushforward.data.dataset import Data
from pushforward.data.labels import encode
from pushforward.data.rounding import typed
from pushforward.data.schema import Schema
from pushforward.data.set_format import SetFormat
from pushforward.errors import InputError

__all__ = ["are_lists", "check_kinds_are_known", "lists_of_sets", "read_lists"]

_ID = "id"


def are_lists(source: Any) -> bool:
    """Whether a source is an `.npz` file, or a dictionary, with the arrays `x` and `lengths`.

    >>> are_lists({"x": np.zeros((3, 2)), "lengths": np.array([1, 2])}), are_lists("table.csv")
    (True, False)
    """
    return {"x", "lengths"} <= _array_names(source)


def check_kinds_are_known(source: Any, kinds: tuple[int, ...]) -> None:
    """Raise `InputError` for sets in slots with marks in a space that has none.

    They would be left out in silence. Of lists with lengths the values of marks are counted.
    """
    if kinds or not {"x", "mask", "kinds"} <= _array_names(source):
        return
    where = "the data" if isinstance(source, Mapping) else str(source)
    found = _arrays(source, where)["kinds"]
    found = found[..., None] if found.ndim == 2 else found
    whole = found.dtype.kind in "iu" and found.ndim == 3 and found.size
    values = [int(most) + 1 for most in found.max((0, 1))] if whole else ["..."]
    listed = ", ".join(map(str, values))
    raise InputError(
        f"{where}: sets in slots do not say how many values their kinds have: give "
        f"spaces.PointCloud(kinds=({listed},)), on the command line model.process=jump-diffusion "
        f"model.process.space.kinds=[{listed}], or the points one after the other with lengths"
    )


def _array_names(source: Any) -> set[str]:
    if isinstance(source, Mapping):
        return set(map(str, source))
    if not isinstance(source, str | os.PathLike) or Path(source).suffix.lower() != ".npz":
        return set()
    # A pipe would be waited for.
    if not Path(source).is_file():
        return set()
    try:
        with zipfile.ZipFile(source) as file:
            return {name.removesuffix(".npy") for name in file.namelist()}
    except (OSError, zipfile.BadZipFile):
        return set()


def read_lists(source: Any, like: Schema | None = None, name: str | None = None) -> Data:
    """Sets from the arrays `x` of all points `(points, d)` and `lengths` `(N,)`.

    `kinds` are marks, `(points, m)` or `(points,)`, whole numbers or words; `c` a label `(N,)` or
    numbers `(N, k)` that each set is told; `names` the coordinates, and `marks` the marks.

    Raises `InputError` for lengths that do not add up to the points, coordinates that are not
    finite, and what the data of `like` do not have.

    >>> x, lengths = np.array([[0.5], [1.5], [2.5]]), np.array([2, 0, 1])
    >>> read_lists({"x": x, "lengths": lengths}).x[1]
    tensor([[ True,  True],
            [False, False],
            [ True, False]])
    """
    is_file = not isinstance(source, Mapping)
    where = str(source) if is_file else "the data"
    arrays = _arrays(source, where)
    x, lengths = _points(arrays["x"], where), _lengths(arrays["lengths"], len(arrays["x"]), where)
    kinds = _marks(arrays.get("kinds"), len(x), where)
    known = None if like is None else like.sets
    made = known or _format(x, lengths, kinds, arrays)
    if (len(made.coordinates), len(made.marks)) != (x.shape[1], kinds.shape[1]):
        raise InputError(
            f"{where} has points of {x.shape[1]} coordinates and {kinds.shape[1]} marks, but the "
            f"model was trained on {len(made.coordinates)} and {len(made.marks)}"
        )
    if int(lengths.max(initial=0)) > made.slots:
        raise InputError(
            f"{where}: set {int(lengths.argmax())} has {lengths.max()} points, but the model knows "
            f"sets of up to {made.slots}: leave such sets out, or train with them"
        )
    codes = np.zeros(kinds.shape, dtype=np.int64)
    for k, mark in enumerate(made.marks):
        codes[:, k] = _codes(kinds[:, k], mark, where)
    c, schema = _told(arrays.get("c"), len(lengths), made, like, where)
    which = np.repeat(np.arange(len(lengths)), lengths)
    empty = int((lengths == 0).sum())
    return Data(
        made.arrays(which, x, codes, len(lengths)),
        c,
        name=name or (formats.stem(Path(source)) if is_file else "sets"),
        kind="state",
        source=where if is_file else "memory",
        schema=schema,
        states=made.words,
        notes=(f"{empty:,} of {len(lengths):,} sets have no points",) if empty else (),
        origin={"source": str(Path(source).resolve())} if is_file else None,
    )


def lists_of_sets(
    made: SetFormat,
    states: Any,
    labels: NDArray[Any] | None = None,
    told: Mapping[str, Any] | None = None,
) -> dict[str, NDArray[Any]]:
    """Sets as the arrays that `read_lists` reads, with the names of columns and words of marks.

    `labels` are those of the sets, or `told` the numbers, by column, that each was told.

    >>> made = SetFormat(Column("id"), ("id", "x"), (Column("x"),), slots=2)
    >>> states = torch.tensor([[[0.5], [0.0]]]), torch.tensor([[True, False]])
    >>> {k: v.tolist() for k, v in lists_of_sets(made, states).items()}
    {'x': [[0.5]], 'lengths': [1], 'names': ['x']}
    """
    x, mask, *kinds = states
    pairs = zip(made.coordinates, x[mask].unbind(-1), strict=True)
    found = {
        "x": np.stack([typed(values, column, spelled=False) for column, values in pairs], -1),
        "lengths": mask.sum(-1).numpy(),
        "names": np.array([column.name for column in made.coordinates]),
    }
    if made.marks:
        codes = kinds[0][mask].numpy()
        whole = all(mark.dtype == "int64" for mark in made.marks)
        words = [
            np.array(mark.words)[codes[:, k]].astype(np.int64 if whole else str)
            for k, mark in enumerate(made.marks)
        ]
        found["kinds"] = np.stack(words, -1)
        found["marks"] = np.array([mark.name for mark in made.marks])
    if told:
        found["c"] = np.stack([np.asarray(values) for values in told.values()], -1)
    return found if labels is None else {**found, "c": labels}


def _arrays(source: Any, where: str) -> dict[str, NDArray[Any]]:
    if isinstance(source, Mapping):
        return {str(key): np.asarray(value) for key, value in source.items()}
    try:
        with np.load(source, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except (OSError, ValueError) as error:
        raise InputError(f"{where} cannot be read as arrays: {error}") from None


def _points(x: NDArray[Any], where: str) -> NDArray[np.float64]:
    if x.ndim == 1:
        x = x[:, None]
    if x.ndim != 2 or x.dtype.kind not in "fiu":
        raise InputError(
            f"{where}: beside lengths, x holds all points one after the other, numbers (points, d),"
            f" not {x.dtype} {x.shape}"
        )
    bad = np.flatnonzero(~np.isfinite(x).all(1))
    if len(bad):
        raise InputError(f"{where}: point {bad[0]} is at {x[bad[0]].tolist()}: leave it out")
    return x.astype(np.float64)


def _lengths(lengths: NDArray[Any], points: int, where: str) -> NDArray[np.int64]:
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or (lengths < 0).any():
        raise InputError(
            f"{where}: lengths are the numbers of points of the sets, integers (N,), not "
            f"{lengths.dtype} {lengths.shape}"
        )
    if int(lengths.sum()) != points:
        raise InputError(
            f"{where}: the lengths add up to {int(lengths.sum()):,}, but x has {points:,} points"
        )
    if points == 0:
        raise InputError(f"{where} has no points: all of its sets are empty")
    return lengths.astype(np.int64)


def _marks(kinds: NDArray[Any] | None, points: int, where: str) -> NDArray[Any]:
    if kinds is None:
        return np.zeros((points, 0), dtype=np.int64)
    kinds = kinds[:, None] if kinds.ndim == 1 else kinds
    if kinds.ndim != 2 or len(kinds) != points or kinds.dtype.kind not in "iuUb":
        raise InputError(
            f"{where}: kinds are whole numbers or words, ({points}, marks), not {kinds.dtype} "
            f"{kinds.shape}"
        )
    # True and false are the kinds 1 and 0, which have an order and a way back.
    return kinds.astype(np.int64) if kinds.dtype.kind == "b" else kinds


def _format(
    x: NDArray[Any], lengths: NDArray[Any], kinds: NDArray[Any], arrays: Mapping[str, NDArray[Any]]
) -> SetFormat:
    names = _names(arrays.get("names"), x.shape[1], "x")
    marks = []
    for k, name in enumerate(_names(arrays.get("marks"), kinds.shape[1], "kind")):
        words = tuple(map(str, np.unique(kinds[:, k]).tolist()))
        dtype = "str" if kinds.dtype.kind == "U" else "int64"
        marks.append(Column(name, dtype, tuple(map(float, range(len(words)))), words))
    columns = tuple(map(Column, names))
    order = (_ID, *names, *(mark.name for mark in marks))
    return SetFormat(Column(_ID, "int64"), order, columns, tuple(marks), int(lengths.max()))


def _names(given: NDArray[Any] | None, count: int, short: str) -> Sequence[str]:
    if given is not None and given.shape == (count,):
        return [str(name) for name in given]
    return [short] if count == 1 else [f"{short}{k + 1}" for k in range(count)]


def _codes(values: NDArray[Any], mark: Column, where: str) -> NDArray[np.int64]:
    number = {word: k for k, word in enumerate(mark.words)}
    words = [str(value) for value in values.tolist()]
    odd = next((word for word in words if word not in number), None)
    if odd is not None:
        raise InputError(f"{where}: the training data have no {mark.name} {odd!r}")
    return np.array([number[word] for word in words], dtype=np.int64)


def _told(
    c: NDArray[Any] | None, sets: int, made: SetFormat, like: Schema | None, where: str
) -> tuple[Tensor | None, Schema]:
    """The label or the numbers of each set, and a schema with these."""
    if c is None:
        return None, Schema(sets=made)
    if c.ndim not in (1, 2) or len(c) != sets:
        raise InputError(f"{where}: c is a label or numbers for each of {sets} sets, not {c.shape}")
    if c.ndim == 1 and c.dtype.kind in "iuUb":
        if like is not None and like.classes:
            known = {value: k for k, value in enumerate(like.classes)}
            odd = next((value for value in c.tolist() if value not in known), None)
            if odd is not None:
                raise InputError(f"{where}: the training data have no label {odd!r}")
            codes = torch.tensor([known[value] for value in c.tolist()])
            return codes, Schema(sets=made, label="c", classes=like.classes)
        codes, classes = encode(c, where, lambda k: f"set {k}")
        return codes, Schema(sets=made, label="c", classes=classes)
    numbers = c.reshape(sets, -1).astype(np.float64)
    if like is not None:
        return torch.from_numpy(numbers).float(), Schema(sets=made, given=like.given)
    named = [Column(f"c{k + 1}") for k in range(numbers.shape[1])]
    return torch.from_numpy(numbers).float(), Schema(sets=made, given=tuple(named))
