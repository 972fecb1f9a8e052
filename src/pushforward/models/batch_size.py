"""How many states a network takes at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pushforward import state

__all__ = ["rows_at_once", "rows_in_memory"]

_BUDGET = 2**30
"""Bytes that a batch may keep for its derivatives. Fixed, and not what is free at the moment: the
noise of an estimate depends on how the states are cut into batches."""


_CACHE = 2**24
"""Bytes of intermediate results on a processor, beyond whose cache larger batches are slower."""

_FEW = 2**14
"""Numbers of all states together that need no thought."""


def rows_at_once(field: Callable[[Any], Any], x: Any) -> int:
    """How many of some states to draw at a time, where nothing is differentiated.

    As many as keep their intermediate results of a field in the cache of a processor, or in a GiB
    of an accelerator. All of them if they are few; at least one.
    """
    n = state.rows(x)
    if n * state.numel(state.event_shape(x)) <= _FEW or n < 2:
        return max(1, n)
    budget = _CACHE if state.device(x).type == "cpu" else _BUDGET
    return min(n, rows_in_memory(field, state.take(x, slice(0, 2)), budget))


def rows_in_memory(field: Callable[[Any], Any], x: Any, budget: int = _BUDGET) -> int:
    """The number of states whose derivatives of a field `(B, *event)` fit into a number of bytes.

    What a state keeps for the backward pass is measured on states `x` of shape `(2, *event)`, and
    as much again is left for the pass itself. At least one.

    >>> rows_in_memory(lambda x: x.exp(), torch.zeros(2, 4), budget=3200)
    100
    """
    # The difference of two states and one: parameters are kept once, whatever the number.
    one = state.take(x, slice(0, 1))
    return max(1, budget // max(1, 2 * (_kept(field, x) - _kept(field, one))))


def _kept(field: Callable[[Any], Any], x: Any) -> int:
    """The bytes that a field keeps for its backward pass."""
    found: dict[int, int] = {}

    def note(saved: Tensor) -> Tensor:
        storage = saved.untyped_storage()
        found[storage.data_ptr()] = storage.nbytes()
        return saved

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda saved: saved):
        # Alive until all is counted: freed storage would be given out again.
        kept = field(state.map_leaves(_followed, x))
    del kept
    return sum(found.values())


def _followed(leaf: Tensor) -> Tensor:
    return leaf.detach().requires_grad_(leaf.is_floating_point())
