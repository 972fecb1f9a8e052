"""How many states a differentiated network takes at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["rows_in_memory"]

_BUDGET = 2**30
"""Bytes that a batch may keep for its derivatives. Fixed, and not what is free at the moment: the
noise of an estimate depends on how the states are cut into batches."""


def rows_in_memory(field: Callable[[Tensor], Tensor], x: Tensor, budget: int = _BUDGET) -> int:
    """The number of states whose derivatives of a field `(B, *event)` fit into a number of bytes.

    What a state keeps for the backward pass is measured on states `x` of shape `(2, *event)`, and
    as much again is left for the pass itself. At least one.

    >>> rows_in_memory(lambda x: x.exp(), torch.zeros(2, 4), budget=3200)
    100
    """
    # The difference of two states and one: parameters are kept once, whatever the number.
    return max(1, budget // max(1, 2 * (_kept(field, x) - _kept(field, x[:1]))))


def _kept(field: Callable[[Tensor], Tensor], x: Tensor) -> int:
    """The bytes that a field keeps for its backward pass."""
    found: dict[int, int] = {}

    def note(saved: Tensor) -> Tensor:
        storage = saved.untyped_storage()
        found[storage.data_ptr()] = storage.nbytes()
        return saved

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda saved: saved):
        # Alive until all is counted: freed storage would be given out again.
        kept = field(x.detach().requires_grad_())
    del kept
    return sum(found.values())
