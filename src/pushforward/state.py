"""A batch of states: a tensor, or a (named) tuple of batches, with one row for each state.

What code needs of a batch, whatever the space: rows, shapes, devices, bytes, and maps over its
tensors. A batch of vectors is a tensor `(B, d)`, one of tokens an integer tensor `(B, sites)`, one
of point sets `Points(x, mask)`, one of a product the tuple of the batches of its factors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from pushforward._precision import has_double
from pushforward.errors import InputError

__all__ = [
    "check",
    "concatenate",
    "device",
    "event_shape",
    "expand",
    "finite_rows",
    "flatten",
    "leaves",
    "map_leaves",
    "named_leaves",
    "nbytes",
    "numel",
    "of_shape",
    "rows",
    "same_structure",
    "split",
    "stack",
    "shape_from",
    "take",
    "to",
    "unflatten",
]

X = TypeVar("X")
"""A batch of states of one kind."""

EventShape = tuple[Any, ...]
"""The shape of one state: integers for a tensor, a tuple of shapes for a tuple of tensors."""


def leaves(x: Any) -> list[Tensor]:
    """The tensors of a batch, in order.

    >>> len(leaves((torch.zeros(2, 3), (torch.zeros(2), torch.zeros(2, 1)))))
    3
    """
    if isinstance(x, Tensor):
        return [x]
    if not isinstance(x, tuple) or not x:
        raise InputError(f"a batch is a tensor or a tuple of batches, not {type(x).__name__}")
    return [leaf for part in x for leaf in leaves(part)]


def map_leaves(function: Callable[..., Tensor], x: X, *others: Any) -> X:
    """A batch with a function applied to each tensor, and to those of others of its structure.

    >>> map_leaves(lambda a, b: a + b, (torch.ones(1), torch.ones(1)), (torch.ones(1),) * 2)
    (tensor([2.]), tensor([2.]))
    """
    if isinstance(x, Tensor):
        return cast(X, function(x, *others))
    if not isinstance(x, tuple) or not x:
        raise InputError(f"a batch is a tensor or a tuple of batches, not {type(x).__name__}")
    parts = (map_leaves(function, *part) for part in zip(x, *others, strict=True))
    return _like(x, parts)


def named_leaves(x: Any, name: str = "x") -> Iterator[tuple[str, Tensor]]:
    """The tensors of a batch with names for a file: `x`, or `x.0`, or `x.mask` of a named tuple.

    >>> [name for name, _ in named_leaves((torch.zeros(1), torch.zeros(1)))]
    ['x.0', 'x.1']
    """
    if isinstance(x, Tensor):
        yield name, x
        return
    fields = getattr(x, "_fields", range(len(x)))
    for field, part in zip(fields, x, strict=True):
        yield from named_leaves(part, f"{name}.{field}")


def rows(x: Any) -> int:
    """The number of states.

    >>> rows((torch.zeros(3, 2), torch.zeros(3)))
    3
    """
    while not isinstance(x, Tensor):
        x = x[0]
    return x.shape[0]


def event_shape(x: Any) -> EventShape:
    """The shape of one state.

    >>> event_shape((torch.zeros(3, 2), torch.zeros(3)))
    ((2,), ())
    """
    if isinstance(x, Tensor):
        return tuple(x.shape[1:])
    return tuple(event_shape(part) for part in x)


def shape_from(shape: Any) -> EventShape:
    """A shape as tuples, which a configuration has as lists.

    >>> shape_from([[2, 3], [2]])
    ((2, 3), (2,))
    """
    return tuple(shape_from(part) if isinstance(part, list | tuple) else part for part in shape)


def of_shape(shape: EventShape, n: int, like: Any = None) -> Any:
    """Zeros of an event shape, `n` rows: a tensor, or the tuple that the shape says.

    >>> of_shape(((2,), (1,)), 3)[1].shape
    torch.Size([3, 1])
    """
    if _is_leaf(shape):
        return torch.zeros(n, *shape) if like is None else like.new_zeros(n, *shape)
    return tuple(of_shape(part, n, like) for part in shape)


def numel(shape: EventShape) -> int:
    """How many numbers one state has.

    >>> numel(((2, 3), (1,)))
    7
    """
    return math.prod(shape) if _is_leaf(shape) else sum(numel(part) for part in shape)


def device(x: Any) -> torch.device:
    """Where a batch is."""
    while not isinstance(x, Tensor):
        x = x[0]
    return x.device


def to(
    x: X,
    device: Any = None,
    dtype: torch.dtype | None = None,
    *,
    non_blocking: bool = False,
) -> X:
    """A batch on a device, its floating-point tensors in a precision; integers stay as they are.

    What remains in double precision stays where it is if the device has none.

    >>> [a.dtype for a in to((torch.zeros(1), torch.zeros(1, dtype=torch.long)),
    ...                      dtype=torch.float64)]
    [torch.float64, torch.int64]
    """

    def move(a: Tensor) -> Tensor:
        kind = dtype if dtype is not None and a.is_floating_point() else a.dtype
        stays = kind == torch.float64 and device is not None and not has_double(device)
        return a.to(a.device if stays else device, kind, non_blocking=non_blocking)

    return map_leaves(move, x)


def take(x: X, index: Any) -> X:
    """Some rows of a batch: a slice, a mask, or row numbers.

    >>> take((torch.arange(3), torch.arange(3)), slice(1, None))[0]
    tensor([1, 2])
    """
    if isinstance(index, Tensor) and index.dtype == torch.long:
        # Faster than indexing, and this runs in every step of training.
        return map_leaves(lambda a: a.index_select(0, index.to(a.device)), x)
    if isinstance(index, Tensor):
        return map_leaves(lambda a: a[index.to(a.device)], x)
    return map_leaves(lambda a: a[index], x)


def split(x: X, size: int) -> list[X]:
    """A batch in parts of at most `size` rows."""
    return [take(x, slice(i, i + size)) for i in range(0, rows(x), size)]


def concatenate(parts: Sequence[X]) -> X:
    """Batches of one structure, one after the other.

    >>> concatenate([(torch.zeros(2, 1),), (torch.zeros(3, 1),)])[0].shape
    torch.Size([5, 1])
    """
    return map_leaves(lambda *tensors: torch.cat(tensors), *parts)


def stack(parts: Sequence[X]) -> X:
    """Batches of one structure on a new first axis."""
    return map_leaves(lambda *tensors: torch.stack(tensors), *parts)


def expand(x: X, n: int) -> X:
    """One state, a batch of one row, repeated to `n` rows."""
    return map_leaves(lambda a: a.expand(n, *a.shape[1:]).clone(), x)


def flatten(x: Any) -> Tensor:
    """A tensor as it is, several side by side as rows of numbers `(B, d)`.

    >>> flatten((torch.zeros(2, 3), torch.ones(2, 1, 2))).shape
    torch.Size([2, 5])
    """
    if isinstance(x, Tensor):
        return x
    return torch.cat([part.flatten(1) for part in leaves(x)], 1)


def unflatten(flat: Tensor, shape: EventShape) -> Any:
    """Numbers `(B, d)` as plain tensors of a shape, or a tuple of them: undoes `flatten`.

    >>> [tuple(part.shape) for part in unflatten(torch.zeros(2, 5), ((3,), (1, 2)))]
    [(2, 3), (2, 1, 2)]
    """
    if _is_leaf(shape):
        return flat.reshape(len(flat), *shape)
    parts = flat.split([numel(own) for own in shape], 1)
    return tuple(unflatten(part, own) for part, own in zip(parts, shape, strict=True))


def nbytes(x: Any) -> int:
    """The memory of a batch."""
    return sum(a.numel() * a.element_size() for a in leaves(x))


def finite_rows(x: Any) -> Tensor:
    """Which states hold finite numbers only, `(B,)`.

    >>> finite_rows((torch.tensor([0.0, torch.inf]), torch.tensor([1, 2])))
    tensor([ True, False])
    """
    found = None
    for a in leaves(x):
        fine = a.detach().isfinite().reshape(len(a), math.prod(a.shape[1:])).all(-1)
        found = fine if found is None else found & fine
    assert found is not None
    return found


def same_structure(x: Any, y: Any) -> bool:
    """Whether two batches are nested alike, with tensors of the same event shapes."""
    if isinstance(x, Tensor) or isinstance(y, Tensor):
        both = isinstance(x, Tensor) and isinstance(y, Tensor)
        return both and x.shape[1:] == y.shape[1:]
    return len(x) == len(y) and all(same_structure(a, b) for a, b in zip(x, y, strict=True))


def check(x: Any) -> None:
    """Raise `InputError` for what is no batch: other types, no rows, parts of unequal length."""
    tensors = leaves(x)
    if any(a.ndim == 0 for a in tensors):
        raise InputError("a batch has one row for each state, but a tensor without axes was given")
    lengths = {len(a) for a in tensors}
    if len(lengths) > 1:
        raise InputError(f"the parts of a batch have {sorted(lengths)} rows: give as many of each")


def _is_leaf(shape: EventShape) -> bool:
    return all(isinstance(size, int) for size in shape)


def _like(x: tuple[Any, ...], parts: Iterator[Any]) -> Any:
    """A tuple of the type of another."""
    return type(x)(*parts) if hasattr(x, "_fields") else tuple(parts)
