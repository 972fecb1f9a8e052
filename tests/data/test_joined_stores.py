"""Several files as one store: in the order of their times, checked against the first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray

import pushforward as pf
from pushforward.data import joined_stores
from pushforward.errors import InputError


def _year(first: int, rows: int = 6, seed: int = 0) -> xarray.Dataset:
    x = np.random.default_rng(first + 100 * seed).normal(size=(rows, 4, 5)).astype("f4")
    times = np.datetime64("2000-01-01", "ns") + (first + np.arange(rows)) * np.timedelta64(6, "h")
    axes = {"time": times, "y": np.arange(4.0), "x": np.arange(5.0)}
    found = xarray.Dataset({"u": (("time", "y", "x"), x, {"units": "K"})}, axes)
    return found.assign(height=(("y", "x"), np.ones((4, 5))))


def _write(folder: Path, **stores: xarray.Dataset) -> str:
    for name, one in stores.items():
        one.to_netcdf(folder / f"{name}.nc")
    return str(folder / "*.nc")


def test_files_are_one_series_in_the_order_of_their_times(tmp_path: Path) -> None:
    """Whatever their names are; a gap between two is a gap."""
    years = [_year(0), _year(6), _year(14)]
    pattern = _write(tmp_path, b=years[0], a=years[1], c=years[2])
    data = pf.data.load(pattern)
    whole = torch.from_numpy(np.concatenate([one.u.values for one in years]))
    assert torch.equal(data.x[:, 0], whole)
    assert data.name == tmp_path.name
    windows = pf.data.load(pattern, forecast="2:1")
    assert len(windows) == 10 + 4
    assert any("1 gap in time" in note for note in windows.notes)
    again = pf.data.load(**(data.origin or {}))
    assert again.fingerprint == data.fingerprint
    recent = pf.forecasting.recent_frames(pattern, windows.schema)
    assert torch.equal(recent.frames[:, 0], whole[-2:])


def test_files_in_the_same_times_are_members(tmp_path: Path) -> None:
    pattern = _write(tmp_path, run1=_year(0), run2=_year(0, seed=1))
    data = pf.data.load(pattern, rows="member,time", forecast="2:1")
    assert len(data) == 2 * 4
    plain = pf.data.load(pattern, rows="member,time")
    assert torch.equal(plain.x[6:, 0], torch.from_numpy(_year(0, seed=1).u.values))


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (_year(3), r"b.nc begins at 2000-01-01T18.*, before .*a.nc ends"),
        (_year(6).rename(u="v"), r"b.nc has no variable 'u', which .*a.nc has"),
        (_year(6).assign(u=_year(6).u.assign_attrs(units="degC")), "u is in degC, and in .* in K"),
        (_year(6).isel(x=slice(0, 4)), "4 cells along x, and .*a.nc 5"),
        (_year(6).assign_coords(x=np.arange(5.0) + 1), "the values of x are not those of"),
        (_year(6).drop_vars("x"), "one alone has a coordinate x"),
        (_year(6).drop_vars("time"), "has no coordinate time"),
        (_year(6).transpose("x", "time", "y"), "u lies on 'x', 'time', 'y', and in"),
    ],
)
def test_files_that_differ_from_the_first_are_named(
    tmp_path: Path, second: xarray.Dataset, message: str
) -> None:
    pattern = _write(tmp_path, a=_year(0), b=second)
    with pytest.raises(InputError, match=message):
        pf.data.load(pattern)


def test_patterns_of_nothing_of_other_files_and_of_too_much_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="no file or folder matches"):
        pf.data.load(str(tmp_path / "*.nc"))
    (tmp_path / "x.csv").write_text("a\n1\n2\n")
    with pytest.raises(InputError, match="is a pattern, and not all that it matches are NetCDF"):
        pf.data.load(str(tmp_path / "*.csv"))
    pattern = _write(tmp_path, a=_year(0), b=_year(6))
    monkeypatch.setattr(joined_stores, "_MOST", 100)
    with pytest.raises(InputError, match=r"open_mfdataset\(files\).to_zarr"):
        pf.data.load(pattern)


def test_other_calendars_and_stores_are_joined(tmp_path: Path) -> None:
    parts: list[Any] = []
    for k in range(2):
        first = f"2001-02-{26 + 3 * k}"
        times = xarray.date_range(first, periods=6, freq="12h", calendar="360_day", use_cftime=True)
        parts.append(_year(6 * k).assign_coords(time=times))
        parts[-1].to_zarr(tmp_path / f"{k}.zarr", zarr_format=2)
    data = pf.data.load(str(tmp_path / "*.zarr"), forecast="1:1")
    assert len(data) == 11
