"""Coarse fields and fine ones of one domain, without pairs: what a downscaler is fitted to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from pushforward.data import Data, load
from pushforward.downscaling.refined import FIELD_OPTIONS, refined, refinement_of
from pushforward.downscaling.refinement import Refinement
from pushforward.errors import InputError

__all__ = ["Unpaired", "unpaired"]


@dataclass(frozen=True)
class Unpaired:
    """Fields of two distributions on the fine grid, and the operator between the grids.

    No row of one side belongs to a row of the other.

    Args:
        source: coarse fields brought to the fine grid, `A^+ y`, `(N, C, H, W)`.
        target: fine fields, `(M, C, H, W)`.
        grid: the operator `A`.

    Raises `InputError` for fields of other shapes.

    >>> import torch
    >>> from pushforward.inverse import SpectralDownsample
    >>> grid = Refinement(SpectralDownsample(2), (1, 8, 8), (1, 4, 4), "waves")
    >>> data = Unpaired(torch.zeros(3, 1, 8, 8), torch.ones(5, 1, 8, 8), grid)
    >>> data.seen.shape
    torch.Size([5, 1, 8, 8])
    """

    source: Tensor
    target: Tensor
    grid: Refinement

    def __post_init__(self) -> None:
        for name in ("source", "target"):
            shape = tuple(getattr(self, name).shape[1:])
            if shape != self.grid.fine:
                raise InputError(
                    f"{name} has fields of shape {shape}, and those of the fine grid have "
                    f"{self.grid.fine}"
                )

    @property
    def seen(self) -> Tensor:
        """What the coarse grid sees of the fine fields, on the fine grid: `A^+ A x`, `(M, ...)`."""
        return self.grid.low_pass(self.target)


def unpaired(source: Any, target: Any, **options: Any) -> tuple[Unpaired, Data]:
    """Two stores as `Unpaired`, and the fine one as data, whose schema reads further coarse fields.

    Of stores larger than memory as many rows as are read at once, evenly spread.

    Args:
        source: a NetCDF file, a Zarr store or an `xarray` object of coarse fields.
        target: one of fine fields, with the same variables.
        options: of `data.load`, for the target: variables, rows, periodic dimensions. Those of
            rows, such as `drop_nonfinite=`, are for both, and a note counts what the source lost.

    Raises `InputError` for grids that do not fit (`refinement`), and for a target without fields.
    """
    fine = load(target, **options)
    if fine.schema.fields is None:
        raise InputError(f"{target} holds no fields on a grid: give a NetCDF file or a Zarr store")
    own = {name: value for name, value in options.items() if name in FIELD_OPTIONS}
    coarse = refined(source, fine.schema, **own)
    if coarse.dropped:
        total = len(coarse) + coarse.dropped
        lost = f"{coarse.source}: {coarse.dropped} of {total} rows were left out for missing values"
        fine = replace(fine, notes=(*fine.notes, lost))
    grid = refinement_of(source, fine.schema)
    return Unpaired(coarse.resident().x, fine.resident().x, grid), fine
