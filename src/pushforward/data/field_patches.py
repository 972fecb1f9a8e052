"""Fields of a large domain as rows of overlapping patches, read as they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pushforward._patches import Patches
from pushforward.data.dataset import Data
from pushforward.data.patch_format import PatchFormat
from pushforward.data.stored import Stored
from pushforward.errors import InputError

__all__ = ["in_patches", "patches_of"]


def patches_of(data: Data, size: int | Sequence[int], overlap: int | Sequence[int]) -> Patches:
    """The patches of the grid of some fields; axes whose ends meet go on at the other one.

    Raises `InputError` for other data, and for sizes that do not fit.

    >>> import xarray
    >>> axis = ("x", np.arange(8.0), {"periodic": 1})
    >>> field = xarray.Dataset({"u": (("time", "x"), np.zeros((3, 8)))}, {"x": axis})
    >>> import pushforward as pf
    >>> patches_of(pf.data.load(field), 4, 2).starts
    ((0, 2, 4, 6),)
    """
    return _cut(data, size, overlap).patches


def in_patches(data: Data, size: int | Sequence[int], overlap: int | Sequence[int]) -> Data:
    """Each patch of each field as a row of its own, those of a field next to each other.

    For domains too large for a network: a model of patches makes fields of the whole one by
    `models.on_domain`, and `patches_of(data, size, overlap).blend` puts patches together. A store
    that is not in memory stays where it is: of the rows that a batch has patches of, one at a time
    is read whole. Of windows of frames the frames that are given are cut like those that follow. A
    patch knows nothing of its place: coordinates are left out, and ends meet only along axes that a
    patch covers whole.

    Args:
        data: fields, from `load`; `load(..., patches="32:8")` cuts them at once.
        size: cells of a patch, of both axes or of each.
        overlap: cells that neighbors share at least.

    Raises `InputError` for other data, sizes that do not fit, and cells without values or with
    weights, which belong to a place.

    >>> import xarray
    >>> field = xarray.Dataset({"u": (("time", "y", "x"), np.zeros((3, 8, 8)))})
    >>> import pushforward as pf
    >>> in_patches(pf.data.load(field), 4, 2).x.shape
    torch.Size([27, 1, 4, 4])
    """
    cut = _cut(data, size, overlap)
    known, patches = cut.domain, cut.patches
    if known.mask is not None or known.latitude is not None:
        what = "cells without values" if known.mask is not None else "cells that weigh as bands"
        way = "fill them in" if known.mask is not None else "load with weights='none'"
        raise InputError(f"{data.name} has {what}, which patches do not know the place of: {way}")
    if data.schema.windows is not None and len(known.dims) != 2:
        raise InputError(
            f"{data.name}: forecasts in patches are of fields with two dimensions, and these lie "
            f"along {known.dims[0]} alone: leave patches= out"
        )
    x = _of_rows(data.x, patches)
    c = None if data.c is None else _of_rows(data.c, patches)
    fields = cut.format
    note = f"{data.name}: {patches.count} patches of each field, {len(x):,} rows"
    rows = None if data.rows is None else data.rows.repeat_interleave(patches.count)
    return replace(
        data, x=x, c=c, schema=replace(data.schema, fields=fields, patches=cut),
        states=f"patches of {data.states}, {' x '.join(map(str, fields.sizes))} cells", rows=rows,
        dropped=0, notes=(*data.notes, note), origin=None,
    )  # fmt: skip


def _cut(data: Data, size: int | Sequence[int], overlap: int | Sequence[int]) -> PatchFormat:
    known = data.schema.fields
    if known is None:
        raise InputError(f"{data.name} are no fields on a grid, which alone have patches")
    if data.schema.patches is not None:
        raise InputError(f"{data.name} are patches already: load them without patches=")
    patches = Patches.of(known.sizes, size, overlap)
    return PatchFormat(known, patches.size, patches.overlap)


def _of_rows(x: Any, patches: Patches) -> Any:
    return _stored(x, patches) if isinstance(x, Stored) else patches.cut(x)


def _stored(x: Stored, patches: Patches) -> Stored:
    """Patches of rows that stay in a store."""
    kept = x.numbers

    def reading(numbers: NDArray[np.int64]) -> NDArray[Any]:
        out = np.empty((len(numbers), x.shape[1], *patches.size), np.float32)
        rows, parts = np.divmod(numbers, patches.count)
        for row in np.unique(rows):
            here = rows == row
            field = torch.from_numpy(x.reading(kept[row : row + 1].numpy()))
            out[here] = patches.cut(field)[parts[here]].numpy()
        return out

    identity = f"{x.identity} in patches {patches.starts} of {patches.size}"
    return Stored(
        reading, (int(x.shape[1]), *patches.size), len(kept) * patches.count, identity, x.source
    )
