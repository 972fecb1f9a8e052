"""What to say where memory runs out: how much a state takes in a network, and how many fit."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules import module as hooks

from pushforward import _memory

__all__ = ["advising", "is_out_of_memory", "row_bytes"]


class _Enough(BaseException):
    """Breaks off after the first pass through a network."""


@contextlib.contextmanager
def advising(act: Callable[[int], object], rows: int, *, learns: bool = False) -> Iterator[None]:
    """Add to an error of memory how much a state takes, and which batch size fits.

    Args:
        act: does what ran out of memory with as many states as it is given.
        rows: how many there were at a time.
        learns: whether what a network puts out is kept for its gradients.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if is_out_of_memory(error):
            with contextlib.suppress(Exception):
                error.add_note(_advice(act, rows, 3 if learns else 1))
        raise


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there was no memory, of the machine or of a GPU.

    >>> is_out_of_memory(MemoryError()), is_out_of_memory(RuntimeError("shapes differ"))
    (True, False)
    """
    if isinstance(error, RuntimeError):
        return "out of memory" in str(error) or "can't allocate memory" in str(error)
    return isinstance(error, MemoryError)


def row_bytes(act: Callable[[int], object]) -> int:
    """The bytes that the layers of a network put out for a state, by the first pass of `act(n)`.

    Those that the parts of a layer put out are those of the layer. At least 1.

    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> row_bytes(lambda n: net(torch.zeros(n, 2)))
    72
    """
    return max(1, _put_out(act, 2) - _put_out(act, 1))


def _advice(act: Callable[[int], object], rows: int, copies: int) -> str:
    each = copies * row_bytes(act)
    there = torch.cuda.mem_get_info()[0] if torch.cuda.is_available() else _memory.available()
    # What did not fit does not, whatever is said to be free.
    fit = min((there or 0) // each, rows // 2)
    told = f"a state takes about {_memory.in_words(each)} in the network"
    return f"{told}: batch_size={fit} fits" if fit else f"{told}: not even one fits"


def _put_out(act: Callable[[int], object], n: int) -> int:
    depth = size = 0

    def enter(*_: object) -> None:
        nonlocal depth
        depth += 1

    def leave(layer: torch.nn.Module, _: object, out: Any) -> None:
        nonlocal depth, size
        depth -= 1
        if next(layer.children(), None) is None:
            size += sum(leaf.nbytes for leaf in _leaves(out))
        if depth == 0:
            raise _Enough

    handles = (
        hooks.register_module_forward_pre_hook(enter),
        hooks.register_module_forward_hook(leave),
    )
    try:
        act(n)
    except _Enough:
        pass
    finally:
        for handle in handles:
            handle.remove()
    return size


def _leaves(out: Any) -> Iterator[Tensor]:
    if isinstance(out, Tensor):
        yield out
    elif isinstance(out, (tuple, list)):
        for part in out:
            yield from _leaves(part)
