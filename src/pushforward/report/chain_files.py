"""Draws of chains as files: for ArviZ, as arrays, or as a table."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pushforward._extras import require
from pushforward._files import replacing
from pushforward.errors import InputError
from pushforward.mcmc import ChainDraws
from pushforward.report.arviz import arviz_dict

__all__ = ["SUFFIXES", "write_draws"]

SUFFIXES = (".nc", ".npz", ".csv")


def write_draws(path: str | Path, draws: ChainDraws, names: Sequence[str] = ()) -> None:
    """Write draws and what is known of each move.

    A `.nc` is what `arviz.from_netcdf` reads: the groups `posterior` and `sample_stats`, with the
    axes `chain` and `draw`. An `.npz` has the same arrays by name, `(chain, draw, ...)`. A `.csv`
    has a row for each draw: chain, draw, the numbers, and the columns of `sample_stats`.

    Raises `InputError` for another suffix, and `MissingExtraError` where netCDF4 is needed.
    """
    place = Path(path)
    if place.suffix not in SUFFIXES:
        raise InputError(f"draws go to {', '.join(SUFFIXES)} files, not {place.name!r}")
    flat = draws.x.flatten(2) if names else draws.x
    groups = arviz_dict(flat, names=names, chains=True, sample_stats=draws.sample_stats)
    with replacing(place) as temporary:
        if place.suffix == ".nc":
            _netcdf(temporary, groups)
        elif place.suffix == ".npz":
            with temporary.open("wb") as file:
                np.savez(file, **groups["posterior"], **groups["sample_stats"])
        else:
            _table(temporary, groups)


def _netcdf(path: Path, groups: dict[str, dict[str, Any]]) -> None:
    netcdf = require("netCDF4", extra="formats", purpose="write NetCDF files")
    with netcdf.Dataset(path, "w", format="NETCDF4") as file:
        for name, arrays in groups.items():
            group = file.createGroup(name)
            for variable, values in arrays.items():
                # NetCDF has no booleans that all its readers know.
                kept = values.astype("i1") if values.dtype == bool else values
                axes = ["chain", "draw", *(f"{variable}_dim_{k}" for k in range(kept.ndim - 2))]
                for axis, size in zip(axes, kept.shape, strict=True):
                    if axis not in group.dimensions:
                        group.createDimension(axis, size)
                        group.createVariable(axis, "i8", (axis,))[:] = np.arange(size)
                made = group.createVariable(variable, kept.dtype, axes)
                if values.dtype == bool:
                    # As xarray marks what was one.
                    made.setncattr("dtype", "bool")
                made[:] = kept


def _table(path: Path, groups: dict[str, dict[str, Any]]) -> None:
    columns: dict[str, Any] = {}
    for group in groups.values():
        for name, values in group.items():
            if values.ndim == 2:
                columns[name] = values
                continue
            flat = values.reshape(*values.shape[:2], -1)
            columns |= {f"{name}_{k}": flat[..., k] for k in range(flat.shape[2])}
    chains, draws = next(iter(columns.values())).shape
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["chain", "draw", *columns])
        for chain in range(chains):
            for draw in range(draws):
                values = (column[chain, draw].item() for column in columns.values())
                writer.writerow([chain, draw, *values])
