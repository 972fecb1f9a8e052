"""Sets of points as the columns of a long table: what `data.sets` reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.data.rounding import typed
from pushforward.data.schema import Column
from pushforward.data.set_format import SetFormat

__all__ = ["table_of_sets", "typed_told"]


def table_of_sets(
    made: SetFormat,
    x: Tensor,
    mask: Tensor,
    kinds: Tensor | None,
    *,
    spelled: bool,
    exact: bool = False,
    told: Mapping[str, Sequence[Any]] | None = None,
) -> dict[str, NDArray[Any]]:
    """The columns of sets by name: a row for each point, and one for a set without points,
    whose cells are empty.

    Points on a line are in order. `told` are further columns, with a value for each set.

    >>> made = SetFormat(Column("id", "int64"), ("id", "x"), (Column("x"),), slots=2)
    >>> x, mask = torch.tensor([[[0.5], [0.0]]]), torch.tensor([[True, False]])
    >>> table = table_of_sets(made, x, mask, None, spelled=False)
    >>> {name: values.tolist() for name, values in table.items()}
    {'id': [0], 'x': [0.5]}
    """
    n = len(mask)
    if len(made.coordinates) == 1:
        # Times of events are written in order.
        turn = x[..., 0].masked_fill(~mask, torch.inf).argsort(dim=-1, stable=True)
        x = x.gather(1, turn.unsqueeze(-1).expand_as(x))
        mask = mask.gather(1, turn)
        kinds = None if kinds is None else kinds.gather(1, turn.unsqueeze(-1).expand_as(kinds))
    rows = mask | ((torch.arange(mask.shape[1]) == 0) & ~mask.any(-1, keepdim=True))
    which = torch.arange(n).unsqueeze(-1).expand_as(mask)[rows]
    filled = mask[rows].numpy()
    found: dict[str, NDArray[Any]] = {}
    for k, column in enumerate(made.coordinates):
        found[column.name] = _gapped(x[..., k][rows], column, filled, spelled, exact)
    for k, mark in enumerate(made.marks):
        assert kinds is not None
        values = np.array(mark.words, dtype=object)[kinds[..., k][rows].numpy()]
        values = values if mark.dtype == "str" else values.astype(mark.dtype)
        if not filled.all():
            values = values.astype(object)
            values[~filled] = "" if spelled else None
        found[mark.name] = values
    for name, own in (told or {}).items():
        found[name] = np.asarray(own)[which.numpy()]
    number = which.numpy()
    found[made.id.name] = number if made.id.dtype == "int64" else number.astype(str)
    # What is of no known place comes last.
    names = [name for name in made.order if name in found]
    return {name: found[name] for name in (*names, *(k for k in found if k not in names))}


def typed_told(c: Tensor, columns: Sequence[Column]) -> dict[str, NDArray[Any]]:
    """What sets were told, `(N, K)`, by column: whole numbers where the data have such, and so has
    what was told.

    >>> typed_told(torch.tensor([[3.0], [4.0]]), [Column("total", "int64")])
    {'total': array([3, 4])}
    """
    found = {}
    for column, values in zip(columns, c.unbind(1), strict=True):
        whole = column.dtype == "int64" and bool((values == values.round()).all())
        own: NDArray[Any] = values.numpy()
        found[column.name] = own.astype(np.int64) if whole else own
    return found


def _gapped(
    values: Tensor, column: Column, filled: NDArray[np.bool_], spelled: bool, exact: bool
) -> NDArray[Any]:
    """The values of a column, with gaps for sets without points."""
    found = typed(values, column, spelled=spelled, exact=exact)
    if filled.all():
        return found
    if spelled:
        cells = found.astype(object)
        cells[~filled] = ""
        return cells
    gapped = found.astype(np.float64)
    gapped[~filled] = np.nan
    return gapped
