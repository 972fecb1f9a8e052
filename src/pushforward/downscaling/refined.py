"""Coarse fields on the grid of fine ones, as the source of a map between the two."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pushforward.data import Data, Schema
from pushforward.data.field_matching import on_own_grid
from pushforward.data.field_patches import in_patches
from pushforward.data.fields import load_as_target, load_on_own_grid
from pushforward.data.stored import Stored
from pushforward.data.stores import opened
from pushforward.downscaling.refinement import Refinement, refinement
from pushforward.errors import InputError

__all__ = ["FIELD_OPTIONS", "refined", "refinement_of"]

FIELD_OPTIONS = ("rows", "lazy", "drop_nonfinite", "double")
"""Options of `load` that say how the rows of other fields are read."""


def refined(source: Any, like: Schema, **options: Any) -> Data:
    """Fields of a store on the grid of others, brought there where theirs is coarser.

    Args:
        source: a NetCDF file, a Zarr store or an `xarray` object with the variables of `like`.
        like: the schema of the fine fields, `data.schema`; of patches of fine fields, for patches.
        options: those of `data.load` for fields, such as `rows=`.

    The operator is that of `refinement`, and a note of the data says which. Raises `InputError` for
    grids that do not fit.

    >>> import numpy as np, pushforward as pf, xarray
    >>> def field(n):
    ...     axis = ("x", np.arange(n) * 8.0 / n, {"periodic": 1})
    ...     axes = {"x": axis, "y": ("y", axis[1], axis[2])}
    ...     return xarray.Dataset({"u": (("time", "y", "x"), np.ones((3, n, n)))}, axes)
    >>> print(refined(field(4), pf.data.load(field(8)).schema))  # doctest: +ELLIPSIS
    data set: 3 fields of one variable on 8 x 8 cells; the data set: from 4 x 4 cells by ...
    """
    if like.fields is None:
        raise InputError("the data are no fields, on whose grid others could be brought")
    if like.patches is not None:
        return in_patches(
            refined(source, like.whole, **options), like.patches.size, like.patches.overlap
        )
    data = load_on_own_grid(source, like, **options)
    own = data.schema.fields
    assert own is not None
    where = str(data.source)
    if own.sizes == like.fields.sizes:
        # As cells of the same number: their places are compared as for any other data.
        return load_as_target(source, like, **options)
    found = refinement(own, like.fields, where)
    note = (
        f"{where}: from {' x '.join(map(str, own.sizes))} cells by {found.words}, "
        f"inverse.{type(found.operator).__name__}"
    )
    x: Any
    if isinstance(data.x, Stored):
        stored = data.x

        def reading(numbers: NDArray[np.int64]) -> NDArray[Any]:
            fields: NDArray[Any] = found.upsample(torch.from_numpy(stored.reading(numbers))).numpy()
            return fields

        x = Stored(reading, found.fine, stored.numbers, f"{stored.identity} {note}", where)
    else:
        x = found.upsample(data.x)
    return replace(
        data,
        x=x,
        schema=replace(like, fields=replace(like.fields, rows=own.rows)),
        states=like.fields.words,
        notes=(*data.notes, note),
    )


def refinement_of(source: Any, like: Schema) -> Refinement:
    """The operator from the grid of some fine fields to that of a coarser store, which is not read.

    Raises `InputError` as `refinement` does, and for a store on the grid of the fine fields.
    """
    if like.fields is None:
        raise InputError("the data are no fields, which coarse ones could constrain")
    store, where = opened(source)
    own, _ = on_own_grid(store, where, like.fields)
    if own.sizes == like.fields.sizes:
        raise InputError(
            f"{where} lies on the grid of the fine fields: all of it would be kept, and nothing is "
            "left to learn"
        )
    return refinement(own, like.fields, where)
