"""States to files that `pushforward.data.load` reads back: what goes out comes in equal."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward import state
from pushforward._files import replacing
from pushforward.data.schema import Schema, Value
from pushforward.errors import InputError

__all__ = ["WRITERS", "write"]

_LABEL = "c"

_EXACT = 1e15
"""Whole numbers below this are exact in double precision, and written without a point."""


def write(
    path: str | Path,
    x: Any,
    *,
    space: Any,
    schema: Schema | None = None,
    labels: Any = None,
) -> None:
    """Write states to a `.npz`, `.npy`, `.csv` or `.tsv` file.

    An archive holds `x`, or the parts of states with several as `x.0`, `x.1`, `x.mask`, ..., and
    labels under their name, or as `c`. A table has the columns of `space.to_table`, with nine
    digits, which tell any two float32 numbers apart, and labels in a last column.
    `load(path, space=space)` reads the states back equal; point sets with their slots in another
    order. An `.npy` file has no room for labels.

    The file is written aside and moved: if that fails, what was at `path` stays.

    Args:
        path: the file; missing folders are made.
        x: a batch of states.
        space: what they are states of.
        schema: the names of a table's columns and of the labels, and the values of the classes,
            as in `Data.schema`; those of the space by default.
        labels: codes, an integer for all or one for each; the values of their classes are written.

    Raises `InputError` for another suffix, states of several parts in an `.npy`, names or labels
    that do not fit, or a file that cannot be written; `CapabilityError` for states that make no
    table.

    >>> import tempfile, pushforward as pf
    >>> from pushforward.spaces import Euclidean
    >>> x = torch.tensor([[0.1, 2.0], [1 / 3, 4.0]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "pairs.csv"
    ...     write(path, x, space=Euclidean(), schema=pf.data.Schema.of("a", "b"))
    ...     data = pf.data.load(path, space=Euclidean())
    >>> torch.equal(data.x, x), data.columns
    (True, ('a', 'b'))
    """
    path = Path(path)
    if path.suffix not in WRITERS:
        raise InputError(f"states go to {', '.join(WRITERS)} files, not {path.name!r}")
    x = state.map_leaves(lambda a: a.detach().cpu(), x)
    schema = schema or Schema()
    values = _label_values(labels, schema.classes, state.rows(x))
    # All that can be wrong with the states is found before anything is touched.
    put = WRITERS[path.suffix](x, space, schema, values)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            put(partial)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from None


Put = Callable[[Path], None]
"""Writes to a path what has been made ready."""


def _npz(x: Any, space: Any, schema: Schema, labels: NDArray[Any] | None) -> Put:
    arrays: dict[str, Any] = {name: part.numpy() for name, part in state.named_leaves(x)}
    if labels is not None:
        arrays[schema.label or _LABEL] = labels

    def put(path: Path) -> None:
        with path.open("wb") as file:
            np.savez(file, **arrays)

    return put


def _npy(x: Any, space: Any, schema: Schema, labels: NDArray[Any] | None) -> Put:
    if not isinstance(x, Tensor):
        raise InputError(
            f"an .npy file holds one array, but a state has {len(state.leaves(x))} parts: write an "
            ".npz"
        )

    def put(path: Path) -> None:
        with path.open("wb") as file:
            np.save(file, x.numpy())

    return put


def _table(mark: str) -> Callable[..., Put]:
    def ready(x: Any, space: Any, schema: Schema, labels: NDArray[Any] | None) -> Put:
        table, names = space.to_table(x)
        if schema.columns:
            if len(schema.columns) != table.shape[1]:
                raise InputError(
                    f"{len(schema.columns)} names do not fit a table of {table.shape[1]} columns"
                )
            names = schema.names
        head, rows = list(names), _cells(table)
        if labels is not None:
            free = (name for name in (schema.label, _LABEL, "label") if name and name not in head)
            head.append(next(free))
            rows = ([*row, str(label)] for row, label in zip(rows, labels.tolist(), strict=True))

        def put(path: Path) -> None:
            with path.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, delimiter=mark)
                writer.writerow(head)
                writer.writerows(rows)

        return put

    return ready


def _cells(table: Tensor) -> Iterable[list[str]]:
    if not table.is_floating_point():
        return ([str(int(value)) for value in row] for row in table.tolist())
    return ([_cell(value) for value in row] for row in table.tolist())


def _cell(value: float) -> str:
    if value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    return f"{value:.9g}"


def _label_values(labels: Any, classes: Sequence[Value], n: int) -> NDArray[Any] | None:
    """The values of the labels of `n` states, or their codes where classes have no values."""
    if labels is None:
        return None
    found = torch.as_tensor(labels).detach().cpu()
    if found.is_floating_point() or found.ndim > 1 or (found.ndim == 1 and len(found) != n):
        raise InputError(f"labels are integers, one for all or one for each of {n} states")
    codes = found.expand(n).numpy()
    if not classes:
        return codes
    if n and (codes.min() < 0 or codes.max() >= len(classes)):
        raise InputError(f"labels lie in 0..{len(classes) - 1}, as there are that many classes")
    return np.array(classes)[codes]


WRITERS: dict[str, Callable[..., Put]] = {
    ".npz": _npz,
    ".npy": _npy,
    ".csv": _table(","),
    ".tsv": _table("\t"),
}
"""What makes ready to write, by the suffix of the file."""
