"""The data that a model starts from in the place of noise, a part of which it keeps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pushforward import state
from pushforward._precision import DataBuffers
from pushforward._random import even_rows
from pushforward.errors import InputError

__all__ = ["Source"]

_KEPT = 5000
"""Rows that are saved with a model, to sample and to judge it without the file."""


class Source(DataBuffers):
    """Rows of a source, in data units; none for a model that starts from noise.

    Args:
        rows: how many are kept, known after training.
        event_shape: the shape of one state, where there are rows.
    """

    def __init__(self, rows: int = 0, event_shape: state.EventShape | None = None) -> None:
        super().__init__()
        if rows and event_shape is None:
            raise InputError(f"{rows} rows of a source need an event_shape")
        self.count = rows
        self._hold(state.of_shape(event_shape, rows) if rows and event_shape else None)

    def __len__(self) -> int:
        return self.count

    @property
    def x(self) -> Any:
        """The rows. Raises `InputError` if there are none."""
        if not self.count:
            raise InputError("this model starts from noise: it keeps no rows of a source")
        return _filled(self._structure, iter(self.buffers()))

    def keep(self, x: Any, like: Tensor) -> None:
        """Keep up to 5,000 rows of a source, the same every time, where a tensor is.

        Raises `InputError` for fewer than two rows, or values that are not finite.
        """
        n = state.rows(x)
        if n < 2:
            raise InputError(f"a source has at least two rows, not {n}")
        bad = int((~state.finite_rows(x)).sum())
        if bad:
            raise InputError(f"{bad} of {n} rows of the source are not finite")
        if n > _KEPT:
            order = torch.randperm(n, generator=torch.Generator().manual_seed(0))
            x = state.take(x, order[:_KEPT].sort().values)
        self.count = state.rows(x)
        self._hold(state.to(state.map_leaves(lambda a: a.detach().clone(), x), like.device))

    def draw(self, n: int, generator: torch.Generator) -> Any:
        """`n` rows in random order, each as often as any other; the first ones of more draws."""
        return state.take(self.x, even_rows(n, self.count, generator))

    def _hold(self, x: Any) -> None:
        for name in list(self._buffers):
            delattr(self, name)
        self._structure = x
        for k, leaf in enumerate([] if x is None else state.leaves(x)):
            self.register_buffer(f"part{k}", leaf)
        # The structure alone: the tensors are the buffers', which move with the model.
        self._structure = None if x is None else _skeleton(x)
        self._precise = any(leaf.dtype == torch.float64 for leaf in self.buffers())


def _skeleton(x: Any) -> Any:
    """The nesting of a batch, with `None` for its tensors."""
    return None if isinstance(x, Tensor) else tuple(_skeleton(part) for part in x)


def _filled(skeleton: Any, tensors: Any) -> Any:
    if skeleton is None:
        return next(tensors)
    return tuple(_filled(part, tensors) for part in skeleton)
