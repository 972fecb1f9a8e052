"""Fields from NetCDF, Zarr and xarray: what goes in comes out, and what does not fit is said."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray

import pushforward as pf
from pushforward.data import Schema, examine, load, to_xarray, write
from pushforward.data.field_rows import FieldRows
from pushforward.data.fields import IN_MEMORY
from pushforward.data.stored import Stored
from pushforward.errors import InputError
from pushforward.spaces import space_of

LAT = np.linspace(-75.0, 75.0, 6)
LON = np.arange(8) * 45.0


def weather(rows: int = 12, seed: int = 0) -> xarray.Dataset:
    """Two variables of their own units, one of the sea alone, on a globe."""
    rng = np.random.default_rng(seed)
    axes = ("time", "lat", "lon")
    sea = rng.normal(280, 10, (rows, 6, 8)).astype("f4")
    sea[:, 2:4, 1:3] = np.nan
    return xarray.Dataset(
        {
            "sst": (axes, sea, {"units": "K", "long_name": "temperature of the sea"}),
            "rain": (axes, rng.gamma(0.5, 1e-4, (rows, 6, 8)), {"units": "kg m-2 s-1"}),
        },
        {
            "time": np.datetime64("2000-01-01", "ns") + np.arange(rows) * np.timedelta64(6, "h"),
            "lat": ("lat", LAT, {"units": "degrees_north"}),
            "lon": ("lon", LON, {"units": "degrees_east"}),
            "cell_area": (("lat", "lon"), np.ones((6, 1)) * np.ones(8), {"units": "m2"}),
        },
        {"title": "made weather", "version": 3},
    )


def stored(made: xarray.Dataset, path: Path, **more: Any) -> Path:
    """The data set in a store of the kind that the suffix says."""
    if path.suffix == ".zarr":
        made.to_zarr(path, mode="w", zarr_format=2, consolidated=True, **more)
    else:
        made.to_netcdf(path, **more)
    return path


@pytest.mark.parametrize("suffix", [".nc", ".zarr", ""])
def test_fields_are_the_numbers_of_the_store(suffix: str, tmp_path: Path) -> None:
    made = weather()
    data = load(stored(made, tmp_path / f"w{suffix}") if suffix else made)
    assert data.event_shape == (2, 6, 8)
    assert data.kind == "image"
    assert data.schema.fields.channel_names == ("rain", "sst")
    sea = np.nan_to_num(made.sst.values)
    assert np.array_equal(data.x[:, 1].numpy(), sea)
    assert np.array_equal(data.x[:, 0].numpy(), made.rain.values.astype("f4"))
    assert data.schema.fields.present[1].sum() == 48 - 4
    assert data.schema.fields.present[0].all()
    assert Schema.from_description(data.schema.describe()) == data.schema


@pytest.mark.parametrize("source", [".nc", ".zarr"])
@pytest.mark.parametrize("target", [".nc", ".zarr"])
def test_what_goes_in_comes_out(source: str, target: str, tmp_path: Path) -> None:
    made = weather()
    path = stored(made, tmp_path / f"a{source}", encoding={
        "sst": {"chunks" if source == ".zarr" else "chunksizes": (5, 3, 4)}
    })  # fmt: skip
    data = load(path)
    out = tmp_path / f"b{target}"
    write(out, data.x, space=space_of(data), schema=data.schema)
    with xarray.open_dataset(out, **({"engine": "zarr"} if target == ".zarr" else {})) as found:
        # Rows are samples, of no time.
        wanted = made.drop_vars("time")
        assert found.sizes == made.sizes
        for name in ("sst", "rain"):
            assert found[name].dims == made[name].dims
            assert found[name].dtype == made[name].dtype
            assert found[name].attrs == made[name].attrs
            exact = made[name].values.astype("f4").astype(made[name].dtype)
            assert np.array_equal(found[name].values, exact, equal_nan=True)
        assert set(found.coords) == set(wanted.coords)
        for name in wanted.coords:
            assert np.array_equal(found[name].values, wanted[name].values)
            assert found[name].attrs == wanted[name].attrs
        assert found.attrs == made.attrs
        assert tuple(found.sst.encoding["preferred_chunks"].values()) == (5, 3, 4)
    again = load(out, like=data)
    assert torch.equal(again.x, data.x)


def test_arrays_of_other_files_have_gaps_too(tmp_path: Path) -> None:
    data = load(weather())
    write(tmp_path / "a.npz", data.x, space=space_of(data), schema=data.schema)
    x = np.load(tmp_path / "a.npz")["x"]
    assert np.isnan(x[:, 1]).sum() == 12 * 4
    assert np.isfinite(x[:, 0]).all()


def test_rows_at_the_poles_stand_for_half_a_cell() -> None:
    poles = weather().assign_coords(lat=np.linspace(-90, 90, 6))
    weights = space_of(load(poles)).weights[:, 0].double()
    step = np.deg2rad(36)
    assert float(weights[0]) == pytest.approx((1 - np.cos(step / 2)) / step, rel=1e-5)
    # All bands together are the sphere.
    assert float(weights.sum() * step) == pytest.approx(2, rel=1e-6)


def test_the_globe_is_seen_in_the_coordinates() -> None:
    space = space_of(load(weather()))
    assert space.periodic == (False, True)
    # Six bands of 30 degrees from pole to pole.
    edges = np.sin(np.deg2rad(np.linspace(-90, 90, 7)))
    areas = torch.from_numpy(np.abs(np.diff(edges)) / np.deg2rad(30)).float()
    assert torch.allclose(space.weights, areas[:, None].expand(6, 8))
    plain = load(weather(), weights="none", periodic="")
    assert space_of(plain).weights is None
    assert not any(space_of(plain).periodic)
    part = load(weather().isel(lon=slice(0, 7)))
    assert space_of(part).periodic == (False, False)
    box = xarray.Dataset(
        {"u": (("time", "y", "x"), np.random.default_rng(0).normal(size=(4, 3, 3)))},
        {axis: (axis, np.arange(3.0), {"periodic": 1}) for axis in "yx"},
    )
    assert space_of(load(box)).periodic == (True, True)


def test_levels_are_channels_and_come_back() -> None:
    rng = np.random.default_rng(0)
    made = xarray.Dataset(
        {
            "t": (("lev", "time", "y", "x"), rng.normal(size=(3, 5, 4, 6)).astype("f4")),
            "u": (("time", "y", "x"), rng.normal(size=(5, 4, 6)).astype("f4")),
        },
        {"lev": [1000, 850, 500]},
    )
    data = load(made)
    assert data.schema.fields.channel_names == ("t[0]", "t[1]", "t[2]", "u")
    assert np.array_equal(data.x[:, 1].numpy(), made.t.values[1])
    back = to_xarray(data.x, data.schema)
    assert back.t.dims == ("time", "lev", "y", "x")
    assert back.lev.values.tolist() == [1000, 850, 500]
    assert np.array_equal(back.t.transpose("lev", "time", "y", "x").values, made.t.values)


def test_rows_of_two_dimensions_are_counted_one_after_the_other() -> None:
    rng = np.random.default_rng(0)
    made = xarray.Dataset({"u": (("y", "member", "x", "time"), rng.normal(size=(3, 2, 4, 5)))})
    data = load(made, rows="member,time")
    wanted = made.u.transpose("member", "time", "y", "x").values.reshape(10, 1, 3, 4)
    assert np.array_equal(data.x.numpy(), wanted.astype("f4"))
    assert to_xarray(data.x, data.schema).u.dims == ("sample", "y", "x")
    lazy = load(made, rows="member,time", lazy=True)
    assert torch.equal(lazy.x[torch.tensor([7, 0, 7])], data.x[[7, 0, 7]])


def test_whole_numbers_stay_whole() -> None:
    made = xarray.Dataset({"n": (("time", "x"), np.arange(12, dtype="u1").reshape(4, 3))})
    made["time"] = np.arange(4)
    data = load(made)
    back = to_xarray(data.x + 0.3, data.schema)
    assert back.n.dtype == np.uint8
    assert np.array_equal(back.n.values, made.n.values)
    assert to_xarray(data.x - 300, data.schema).n.values.max() == 0


def test_packed_numbers_are_unpacked(tmp_path: Path) -> None:
    made = weather()
    path = stored(made, tmp_path / "p.nc", encoding={
        "sst": {"dtype": "i2", "scale_factor": 0.01, "add_offset": 280.0, "_FillValue": -32768}
    })  # fmt: skip
    data = load(path)
    assert np.allclose(data.x[:, 1].numpy(), np.nan_to_num(made.sst.values), atol=0.0051)
    assert data.schema.fields.present[1].sum() == 44
    assert to_xarray(data.x, data.schema).sst.dtype.kind == "f"


def test_a_value_that_is_missing_among_others_is_refused_with_its_place() -> None:
    made = weather()
    made["rain"][5, 1, 2] = np.nan
    wanted = r"rain is missing at time 5 \(2000-01-02T06:00:00\), lat 1, lon 2.* 1 of 12 rows"
    with pytest.raises(InputError, match=wanted):
        load(made)
    with pytest.raises(InputError, match=wanted.replace("12 rows", "1 rows")):
        load(made, lazy=True)
    kept = load(made, drop_nonfinite=True)
    assert (len(kept), kept.dropped, kept.rows.tolist()) == (11, 1, [*range(5), *range(6, 12)])
    made["rain"][5, 1, 2] = np.inf
    with pytest.raises(InputError, match="rain is inf"):
        load(made)


def test_a_gap_that_no_looked_at_row_has_is_found_when_it_is_read(monkeypatch) -> None:
    monkeypatch.setattr("pushforward.data.fields._LOOKED_AT", 3)
    made = weather()
    made["rain"][4, 1, 2] = np.nan
    data = load(made, lazy=True)
    assert data.x[:4].isfinite().all()
    with pytest.raises(InputError, match="rain is missing at time 4"):
        data.x[3:6]


def test_a_store_is_read_row_by_row(tmp_path: Path, monkeypatch) -> None:
    path = stored(weather(40), tmp_path / "w.zarr")
    whole = load(path)
    row = 4 * 2 * 6 * 8
    monkeypatch.setattr("pushforward.data.stored.BLOCK", 8 * row)
    read: list[int] = []
    original = FieldRows.read

    def counted(self: FieldRows, numbers: Any, dtype: Any = None) -> Any:
        read.append(len(numbers))
        return original(self, numbers, dtype)

    monkeypatch.setattr(FieldRows, "read", counted)
    data = load(path, lazy=True)
    assert isinstance(data.x, Stored)
    train, held = data.split(0.1)
    assert isinstance(train.x, Stored)
    assert not isinstance(held.x, Stored)
    same_train, same_held = whole.split(0.1)
    assert torch.equal(held.x, same_held.x)
    rows = torch.tensor([30, 2, 2, 17])
    assert torch.equal(train.x.index_select(0, rows), same_train.x[rows])
    assert len(data.resident()) == 8
    assert max(read) <= 8 + 8  # the fingerprint takes sixteen rows
    assert data.fingerprint == load(path, lazy=True).fingerprint
    assert data.fingerprint != load(stored(weather(40, seed=1), tmp_path / "v.zarr"),
                                    lazy=True).fingerprint  # fmt: skip


def test_large_stores_stay_where_they_are(monkeypatch) -> None:
    monkeypatch.setattr("pushforward.data.fields.IN_MEMORY", 100)
    data = load(weather())
    assert isinstance(data.x, Stored)
    assert "stay in the store" in data.notes[-1]
    assert not isinstance(load(weather(), lazy=False).x, Stored)
    assert IN_MEMORY == 2**30
    with pytest.raises(InputError, match="drop_nonfinite=True reads all"):
        load(weather(), drop_nonfinite=True)


def test_other_fields_are_found_by_name_in_any_order_of_dimensions() -> None:
    data = load(weather())
    other = weather(5, seed=1).transpose("lon", "lat", "time")[["rain", "sst"]]
    other = other.rename(time="number")
    found = load(other, like=data)
    wanted = load(weather(5, seed=1))
    assert torch.equal(found.x, wanted.x)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.drop_vars("rain"), "no variable 'rain'.*there are 'sst'"),
        (lambda d: d.rename(sst="ssts"), r"no variable 'sst' \(did you mean 'ssts'\?\)"),
        (lambda d: d.isel(lat=slice(1, 6)), "5 cells along lat.*trained on 6"),
        (lambda d: d.rename(lat="latitude"), "no dimension 'lat'.*rename it"),
        (lambda d: d.isel(lat=slice(None, None, -1)), "lat goes from 75 to -75.*turn it around"),
        (lambda d: d.assign_coords(lon=LON + 10), "lon goes from 10 to 325.*trained on 0 to 315"),
        (lambda d: d.isel(time=0), "without a dimension of rows.*expand_dims"),
    ],
)
def test_other_fields_that_do_not_fit_are_refused(change: Any, message: str) -> None:
    data = load(weather())
    with pytest.raises(InputError, match=message):
        load(change(weather(seed=1)), like=data)


def test_other_units_are_refused() -> None:
    data, other = load(weather()), weather(seed=1)
    other.sst.attrs["units"] = "degC"
    with pytest.raises(InputError, match="sst is in degC, and the model was trained on K: convert"):
        load(other, like=data)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variables": "rian"}, r"'rian' is not there \(did you mean 'rain'\?\)"),
        ({"variables": "sst,sst"}, "names none, or one twice"),
        ({"rows": "tim"}, r"no dimension 'tim' \(did you mean 'time'\?\)"),
        ({"periodic": "time"}, "and no 'time'"),
        ({"weights": "area"}, "weights is 'latitude' or 'none'"),
        ({"size": 3}, "size= means nothing for fields"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(weather(), **options)


def test_dimensions_that_say_nothing_have_to_be_named() -> None:
    made = xarray.Dataset({"u": (("a", "b", "c"), np.ones((4, 3, 3)))})
    with pytest.raises(InputError, match="say which one's entries are the rows, rows=a"):
        load(made)
    assert load(made, rows="b").event_shape == (1, 4, 3)
    with pytest.raises(InputError, match="variables= means nothing"):
        load(np.ones((4, 3)), variables="u")


def test_variables_on_other_grids_are_left_out_and_said() -> None:
    made = weather()
    made["coarse"] = (("time", "y", "x"), np.ones((12, 2, 2)))
    made["orography"] = (("lat", "lon"), np.ones((6, 8)))
    data = load(made)
    assert data.schema.fields.channel_names == ("rain", "sst")
    assert "left out 'coarse', 'orography'" in data.notes[0]
    with pytest.raises(InputError, match="'orography' lies on 'lat', 'lon', and not on 'time'"):
        load(made, variables="sst,orography")
    with pytest.raises(InputError, match="learn variables of one grid together"):
        load(made, variables="sst,coarse")


def test_uneven_times_are_said() -> None:
    made = weather()
    assert not any("uneven" in note for note in load(made).notes)
    assert "uneven" in load(made.isel(time=[0, 1, 5, 6, 7])).notes[-1]


def test_a_file_without_coordinates_is_one_of_arrays(tmp_path: Path) -> None:
    path = stored(xarray.Dataset({"x": (("row", "a"), np.eye(3))}), tmp_path / "a.nc")
    assert load(path).schema.fields is None
    grid = stored(weather()[["rain"]], tmp_path / "b.nc")
    assert load(grid).schema.fields is not None
    assert load(grid, key="rain").schema.fields is None


def test_the_doctor_looks_at_variables() -> None:
    made = weather(30)
    made["rain"] = made.rain * 0 + 2
    titles = [finding.title for finding in examine(load(made))]
    assert "A variable never changes" in titles
    assert not any("features never change" in title for title in titles)
    made = weather(30)
    made["rain"][3, 0, 0] = -9999.0
    far = next(f for f in examine(load(made)) if f.title == "A value is far from all others")
    assert "rain has -9999" in far.detail


def test_a_damaged_store_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / ".zgroup").write_text("{")
    with pytest.raises(InputError, match="damaged or no store"):
        load(tmp_path / "a.zarr")


def test_samples_do_not_replace_a_store(tmp_path: Path) -> None:
    path = stored(weather(), tmp_path / "w.zarr")
    data = load(path)
    with pytest.raises(InputError, match="no empty folder"):
        write(path, data.x, space=space_of(data), schema=data.schema)
    with pytest.raises(InputError, match="only fields go to Zarr"):
        write(tmp_path / "x.zarr", torch.ones(2, 2), space=space_of(data))


def test_means_may_have_a_scale_of_their_own() -> None:
    data = load(weather(), means="apart")
    assert type(space_of(data)).__name__ == "FieldsWithMeans"
    assert Schema.from_description(data.schema.describe()) == data.schema
    process = pf.processes.Gaussian(space=space_of(data))
    assert pf.Diffusion.for_data(data, process=process).predictor.net.bypass is not None
    assert load(weather(seed=1), like=data).schema.fields.means == "apart"
    with pytest.raises(InputError, match="means is 'apart'"):
        load(weather(), means="together")


@pytest.mark.parametrize("form", ["zarr 2", "zarr 3", "classic"])
def test_stores_of_all_versions_are_read_with_words_and_other_calendars(
    form: str, tmp_path: Path
) -> None:
    made = weather()
    made = made.assign_coords(band=("lat", np.array(list("sstnna"), dtype=object)))
    made["time"] = ("time", 31.0 * np.arange(12),
                    {"units": "days since 1850-01-01", "calendar": "noleap"})  # fmt: skip
    made["rain"][3, 2, 2] = np.nan
    path = tmp_path / ("a.nc" if form == "classic" else "a.zarr")
    if form == "classic":
        made.to_netcdf(path, format="NETCDF3_CLASSIC")
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made.to_zarr(path, zarr_format=int(form[-1]), consolidated=False)
    with pytest.raises(InputError, match=r"time 3 \(1850-04-04"):
        load(path)
    data = load(path, variables="sst")
    band = data.schema.fields.coordinate("band")
    assert band.values.array().tolist() == list("sstnna")
    write(tmp_path / "b.zarr", data.x, space=space_of(data), schema=data.schema)
    assert load(tmp_path / "b.zarr").schema.fields.coordinate("band") == band


def test_the_doctor_counts_the_rows_of_the_store(monkeypatch) -> None:
    monkeypatch.setattr("pushforward.data.stored.BLOCK", 25 * 4 * 2 * 6 * 8)
    found = {f.title: f.detail for f in examine(load(weather(60), lazy=True))}
    assert found["Few rows for their size"].startswith("60 rows of")


def test_levels_are_those_of_the_model() -> None:
    """In another order they would be other variables."""
    rng = np.random.default_rng(0)
    axes = ("time", "level", "y", "x")
    made = xarray.Dataset(
        {"u": (axes, rng.normal(size=(12, 2, 4, 4)), {"units": "m/s"})}, {"level": [1000, 500]}
    )
    known = load(made).schema
    assert load(made, like=known).event_shape == (2, 4, 4)
    with pytest.raises(InputError, match=r"level goes from 500 to 1000, .* turn it around"):
        load(made.isel(level=[1, 0]), like=known)
    with pytest.raises(InputError, match="level goes from 850 to 300"):
        load(made.assign_coords(level=[850, 300]), like=known)
    bare = made.drop_vars("level")
    bare.u.attrs.clear()
    notes = " ".join(load(bare, like=known).notes)
    assert "u says no units: taken for m/s" in notes
    assert "no coordinate level" in notes
    members = load(made.rename(level="member")).notes
    assert any("rows=time,member" in note for note in members)


def test_a_cell_that_a_model_has_is_missing_in_every_row() -> None:
    known = load(weather()).schema
    made = weather()
    made["rain"][:, 1, 2] = np.nan
    with pytest.raises(InputError, match="rain is missing at lat 1, lon 2 in all of 12 rows"):
        load(made, like=known)


def test_a_network_of_pictures_for_fields_of_one_dimension_is_refused() -> None:
    line = xarray.Dataset({"u": (("time", "x"), np.zeros((4, 8)))}, {"x": np.arange(8.0)})
    data = pf.data.load(line)
    with pytest.raises(InputError, match=r"network of pictures, and these fields have 1 dimension"):
        pf.Diffusion.for_data(
            data, process=pf.processes.Gaussian(space=pf.spaces.space_of(data)), net="unet"
        )
