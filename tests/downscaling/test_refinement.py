"""Coarse fields in a fine grid: which operator, by the coordinates, and what it keeps."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray

import pushforward as pf
from pushforward.downscaling import Refinement, refined, refinement
from pushforward.errors import InputError


def _store(n: int, *, rows: int = 3, centers: bool = False, periodic: int = 1) -> Any:
    """Waves of number 1 along x and 2 along y, on points of `[0, 2 pi)` or centers of cells."""
    at = 2 * math.pi * (np.arange(n) + 0.5 * centers) / n
    phase = np.arange(rows)[:, None, None]
    u = np.cos(at + phase) + np.sin(2 * at[:, None] + phase)
    axes = {name: (name, at, {"periodic": periodic, "units": "rad"}) for name in ("x", "y")}
    axes["time"] = ("time", 10.0 * np.arange(rows), {"units": "1"})  # type: ignore[assignment]
    return xarray.Dataset({"u": (("time", "y", "x"), u, {"units": "m/s"})}, axes)


def _formats(few: Any, many: Any) -> tuple[Any, Any]:
    return tuple(pf.data.load(one).schema.fields for one in (few, many))  # type: ignore[return-value]


def test_waves_of_periodic_points_arrive_where_they_are() -> None:
    fine = pf.data.load(_store(24))
    found = refined(_store(6), fine.schema)
    assert torch.allclose(found.x, fine.x, atol=1e-5)
    assert found.schema == fine.schema
    assert "every 4th point, inverse.SpectralDownsample" in found.notes[-1]


def test_means_of_cells_are_repeated_over_them() -> None:
    few, many = _store(4, centers=True), _store(12, centers=True)
    fine = pf.data.load(many)
    found = refined(few, fine.schema)
    exact = torch.from_numpy(few.u.values).float()
    for axis in (1, 2):
        exact = exact.repeat_interleave(3, axis)
    assert torch.allclose(found.x[:, 0], exact, atol=1e-5)
    grids = _formats(few, many)
    blocks = many.u.values.reshape(3, 4, 3, 4, 3).mean((2, 4))
    seen = refinement(*grids).operator(fine.x)
    assert np.allclose(seen[:, 0].numpy(), blocks, atol=1e-5)


@pytest.mark.parametrize("centers", [False, True])
def test_the_projection_meets_the_coarse_field_and_moves_no_further(centers: bool) -> None:
    found = refinement(*_formats(_store(4, centers=centers), _store(16, centers=centers)))
    g = torch.Generator().manual_seed(0)
    x, z = (torch.randn(5, 1, 16, 16, generator=g, dtype=torch.float64) for _ in range(2))
    y = found.operator(torch.randn(5, 1, 16, 16, generator=g, dtype=torch.float64))
    met = found.constrained(x, found.upsample(y))
    assert torch.allclose(found.operator(met), y, atol=1e-10)
    # Any other field with that coarse one is further away: the step is orthogonal to its kernel.
    free = z - found.low_pass(z)
    assert float(((met - x) * free).sum(dim=(1, 2, 3)).abs().max()) < 1e-9
    assert torch.allclose(found.constrained(met, found.upsample(y)), met, atol=1e-10)


@pytest.mark.parametrize(
    ("few", "many", "message"),
    [
        (
            _store(5),
            _store(12),
            "5 cells along y and the target 12, which is no multiple: cut the ",
        ),
        (_store(12), _store(6), "the source has more of them"),
        (_store(4, centers=True), _store(16), "neither the centers of 4 x 4 cells"),
        (_store(4, periodic=0), _store(16, periodic=0), "or say periodic="),
        (_store(4).isel(x=slice(0, 2)), _store(16), "waves want one factor"),
    ],
)
def test_grids_that_do_not_fit_say_why(few: Any, many: Any, message: str) -> None:
    if "one factor" in message:
        few = few.assign_coords(x=("x", [0.0, math.pi]))
    with pytest.raises(InputError, match=message):
        refinement(*_formats(few, many))


def test_cells_without_values_are_not_refined() -> None:
    many = _store(8)
    many["u"][:, 0, 0] = np.nan
    with pytest.raises(InputError, match="cells without values"):
        refined(_store(4), pf.data.load(many).schema)
    one = _store(4)
    one["u"][1, 0, 0] = np.nan
    with pytest.raises(InputError, match="is missing at time 1"):
        refined(one, pf.data.load(_store(8)).schema)


def test_other_units_and_other_names_are_told() -> None:
    fine = pf.data.load(_store(8)).schema
    with pytest.raises(InputError, match="in km/h"):
        refined(_store(4).assign(u=_store(4).u.assign_attrs(units="km/h")), fine)
    with pytest.raises(InputError, match="no dimension 'y'"):
        refined(_store(4).rename(y="lat"), fine)
    with pytest.raises(InputError, match="no store of fields"):
        refined(__file__, fine)
    with pytest.raises(InputError, match=r"none.nc does not exist"):
        refined("none.nc", fine)


def test_a_domain_of_another_size_is_told_with_both() -> None:
    half = _store(4)
    half = half.assign_coords(x=half.x / 2)
    with pytest.raises(InputError, match=r"another domain: x goes from 0 to 2.356 there, and in"):
        refined(half, pf.data.load(_store(16)).schema)
    moved = _store(4, centers=True)
    moved = moved.assign_coords(y=moved.y + 3 * math.pi)
    with pytest.raises(InputError, match="cut both to what they share"):
        refined(moved, pf.data.load(_store(16, centers=True)).schema)
    # As many cells as would divide, of a domain that is a quarter smaller.
    part = _store(16, centers=True, periodic=0).isel(x=slice(0, 12))
    with pytest.raises(InputError, match=r"another domain: x goes from 0.7854 to 5.498 there"):
        refined(_store(4, centers=True, periodic=0), pf.data.load(part).schema)


def test_dimensions_and_variables_in_another_order_are_found_by_name() -> None:
    fine, few = pf.data.load(_store(12)), _store(4)
    turned = few.transpose("x", "time", "y").assign(a=few.u * 0)[["u", "a"]]
    assert torch.equal(refined(turned, fine.schema).x, refined(few, fine.schema).x)
    named = few.rename(time="sample")
    assert torch.equal(refined(named, fine.schema).x, refined(few, fine.schema).x)
    with pytest.raises(InputError, match="has no variable 'u'"):
        refined(few.rename(u="v"), fine.schema)


def test_latitudes_that_fall_where_those_of_the_target_rise_are_told() -> None:
    few = _store(4, centers=True).isel(y=slice(None, None, -1))
    with pytest.raises(InputError, match=r"y goes from 5\.498 to 0\.7854 there.*turn around"):
        refined(few, pf.data.load(_store(16, centers=True)).schema)


def test_the_same_grid_is_left_as_it_is() -> None:
    fine = pf.data.load(_store(8))
    assert torch.equal(refined(_store(8), fine.schema).x, fine.x)
    with pytest.raises(InputError, match="bring it to that grid"):
        refined(_store(8, centers=True), fine.schema)


def test_without_coordinates_the_domain_decides() -> None:
    few, many = _formats(_store(4), _store(8))
    bare = [replace(one, coordinates=()) for one in (few, many)]
    assert type(refinement(*bare).operator) is pf.inverse.SpectralDownsample
    assert refinement(*bare).periodic
    flat = [replace(one, periodic=()) for one in bare]
    assert type(refinement(*flat).operator) is pf.inverse.Downsample
    assert not refinement(*flat).periodic


def test_rows_that_stay_in_a_store_are_refined_as_they_are_read(tmp_path: Path) -> None:
    _store(6, rows=20).to_netcdf(tmp_path / "few.nc")
    fine = pf.data.load(_store(24))
    whole = refined(tmp_path / "few.nc", fine.schema)
    lazy = refined(tmp_path / "few.nc", fine.schema, lazy=True)
    assert type(lazy.x).__name__ == "Stored"
    rows = torch.tensor([7, 2])
    assert torch.equal(lazy.x[rows], whole.x[rows])
    assert isinstance(refinement(*_formats(_store(6), _store(24))), Refinement)
