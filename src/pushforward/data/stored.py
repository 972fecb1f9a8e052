"""States that lie in a store: a tensor whose rows are read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.data.declared import require_room

__all__ = ["BLOCK", "Stored", "rows_at_once"]

BLOCK = 64 << 20
"""Bytes of rows that are read at once, and beyond which a part of a store stays in it."""

Reading = Callable[[NDArray[np.int64]], NDArray[Any]]

_aten: Any = torch.ops.aten


class Stored(Tensor):
    """A float32 tensor `(N, *event)` of which a row is read when it is asked for.

    Rows, taken by number, by a mask or as a slice, are read at once where they take no more than 64
    MiB, and are the rows of the store still where they take more: the nine tenths of it that are
    trained on stay where they are, and a batch of them comes into memory. Whatever else is done
    with the tensor is done with all of it in memory, and refused where it does not fit.

    Args:
        reading: gives the rows of some numbers, `(k,)` to `(k, *event)`.
        event_shape: the shape of one row.
        rows: the numbers of the rows in the store, `(N,)`, or how many there are.
        identity: what tells the store from others, without its rows.
        source: what errors name.

    >>> x = Stored(lambda rows: np.float32(rows)[:, None], (1,), 5, "count", "a count")
    >>> x[torch.tensor([3, 1])], tuple(x.shape)
    (tensor([[3.],
            [1.]]), (5, 1))
    """

    reading: Reading
    numbers: Tensor
    identity: str
    source: str

    @staticmethod
    def __new__(
        cls,
        reading: Reading,
        event_shape: Sequence[int],
        rows: int | Tensor,
        identity: str,
        source: str,
    ) -> Stored:
        numbers = torch.arange(rows) if isinstance(rows, int) else rows
        made: Stored = Tensor._make_wrapper_subclass(
            cls, (len(numbers), *event_shape), dtype=torch.float32, requires_grad=False
        )
        made.reading, made.numbers, made.identity, made.source = reading, numbers, identity, source
        return made

    def __init__(self, *_: Any) -> None:
        pass

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Rows stay rows; all else is done with what is read."""
        first = args[0]
        if isinstance(first, Stored):
            index = first._rows_asked(function, args[1:])
            if index is not None:
                return first._taken(index)
            if function is _aten.select.int and args[1] == 0:
                return first._read(first.numbers[args[2] : args[2] + 1 or None])[0]
        args, kwargs = (_in_memory(part) for part in (args, kwargs or {}))
        return function(*args, **kwargs)

    def _rows_asked(self, function: Any, rest: Sequence[Any]) -> Any:
        """The index of the rows that an operation takes, `None` for one that does not take rows."""
        if function in (_aten.detach.default, _aten.alias.default, _aten.clone.default):
            return slice(None)
        if function is _aten.slice.Tensor and (rest or (0,))[0] == 0:
            return slice(*rest[1:4])
        if function is _aten.index_select.default and rest[0] == 0:
            return rest[1]
        if function is _aten.index.Tensor and len(rest[0]) == 1:
            return rest[0][0]
        return None

    def _taken(self, index: Any) -> Tensor:
        """Some rows: read if they are few, or as they lie in the store."""
        numbers = self.numbers[index]
        part = self._with(numbers)
        few = part.numel() * part.element_size() <= BLOCK
        return part._read(numbers) if few else part

    def _with(self, numbers: Tensor) -> Stored:
        return Stored(self.reading, self.shape[1:], numbers, self.identity, self.source)

    def _read(self, numbers: Tensor) -> Tensor:
        """Rows of some numbers, in memory."""
        require_room((len(numbers), *self.shape[1:]), "float32", self.source)
        out = torch.empty(len(numbers), *self.shape[1:])
        step = rows_at_once(tuple(self.shape[1:]))
        for i in range(0, len(numbers), step):
            part = numbers[i : i + step]
            out[i : i + len(part)] = torch.from_numpy(self.reading(part.numpy()))
        return out

    def numpy(self, *, force: bool = False) -> NDArray[Any]:
        """All rows as an array."""
        return self._read(self.numbers).numpy(force=force)

    def tolist(self) -> list[Any]:
        """All rows as lists."""
        return self._read(self.numbers).tolist()

    def __deepcopy__(self, memo: Any) -> Stored:
        return self._with(self.numbers)

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"Stored({tuple(self.shape)} of {self.source})"


def rows_at_once(event_shape: tuple[int, ...]) -> int:
    """How many rows of float32 are read at once, one at least.

    >>> rows_at_once((2, 1024, 1024))
    8
    """
    return max(1, BLOCK // (4 * max(1, int(np.prod(event_shape)))))


def _in_memory(tree: Any) -> Any:
    """Arguments with what is stored read."""
    if isinstance(tree, Stored):
        return tree._read(tree.numbers)
    if isinstance(tree, dict):
        return {key: _in_memory(part) for key, part in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(_in_memory(part) for part in tree)
    return tree
