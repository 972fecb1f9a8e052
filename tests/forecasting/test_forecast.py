"""Ensembles after the last frames of a store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray
from tests.forecasting.linear_waves import KEEP, ExactForecast, series

import pushforward as pf
from pushforward import forecasting
from pushforward.data.time_steps import positions
from pushforward.errors import InputError


@pytest.fixture(scope="module")
def model() -> ExactForecast:
    """The exact law of two leads after two frames, which knows its data."""
    data = pf.data.load(series(40), forecast="2:2")
    return ExactForecast(2, learned_from={"schema": data.schema.describe()})


@pytest.fixture(scope="module")
def recent() -> xarray.Dataset:
    return series(30, seed=7).isel(time=slice(20, None))


def test_times_names_units_and_attributes_go_on(model: Any, recent: Any) -> None:
    found = forecasting.forecast(model, recent, 5, 3, progress=False)
    assert dict(found.sizes) == {"member": 5, "time": 3, "y": 8, "x": 8}
    expected = recent.time.values[-1] + np.arange(1, 4) * np.timedelta64(1, "h")
    assert (found.time.values == expected).all()
    assert found.u.attrs == {"units": "m"}
    assert found.attrs == {"title": "waves"}
    assert found.u.dtype == np.float32
    assert found.x.attrs["units"] == "km"
    off = found.u.values[:, 0] - KEEP * np.roll(recent.u.values[-1], 1, 1)
    assert abs(off.std() - 0.6) < 0.1


def test_a_member_does_not_depend_on_how_many_there_are(model: Any, recent: Any) -> None:
    few, many = (forecasting.forecast(model, recent, n, progress=False).u.values for n in (18, 33))
    assert (few[:16] == many[:16]).all()
    assert not (few[0] == few[16]).all()
    again = forecasting.forecast(model, recent, 18, progress=False).u.values
    assert (again == few).all()
    other = forecasting.forecast(model, recent, 18, seed=1, progress=False).u.values
    assert not (other == few).any()


@pytest.mark.parametrize("killed", [1, 4, 7])
def test_what_was_killed_goes_on_to_the_same(
    model: Any, recent: Any, tmp_path: Path, killed: int
) -> None:
    whole = forecasting.forecast(model, recent, 18, 8, progress=False)
    out, calls = tmp_path / "next.zarr", 0

    class Killed(Exception):
        pass

    def stop(done: int) -> None:
        nonlocal calls
        calls += 1
        if calls == killed:
            raise Killed

    with pytest.raises(Killed):
        forecasting.forecast(model, recent, 18, 8, out=out, callback=stop, progress=False)
    assert not out.exists()
    with pytest.raises(InputError, match="resume=True to go on"):
        forecasting.forecast(model, recent, 18, 8, out=out, progress=False)
    with pytest.raises(InputError, match="seed 0 -> 3"):
        forecasting.forecast(model, recent, 18, 8, out=out, seed=3, resume=True, progress=False)
    counted: list[int] = []
    forecasting.forecast(
        model, recent, 18, 8, out=out, resume=True, callback=counted.append, progress=False
    )
    assert len(counted) == 8 - killed
    with xarray.open_zarr(out, consolidated=True) as found:
        assert (found.u.values == whole.u.values).all()
        assert found.time.equals(whole.time)
    assert not out.with_name("next.zarr.partial").exists()


def test_numbers_and_months_go_on_too(model: Any, recent: Any) -> None:
    one = recent.assign_coords(time=("time", 5 + 0.25 * np.arange(10), {"units": "1"}))
    known = pf.data.load(one, forecast="2:2").schema
    told = ExactForecast(2, learned_from={"schema": known.describe()})
    found = forecasting.forecast(told, one, 2, progress=False)
    assert np.allclose(found.time, [7.5, 7.75])
    months = np.arange("2000-01", "2000-11", dtype="datetime64[M]").astype("datetime64[ns]")
    one = recent.assign_coords(time=months)
    known = pf.data.load(one, forecast="2:2").schema
    told = ExactForecast(2, learned_from={"schema": known.describe()})
    found = forecasting.forecast(told, one, 2, 4, progress=False)
    said = found.time.values.astype("datetime64[D]").astype(str).tolist()
    assert said == ["2000-11-01", "2000-12-01", "2001-01-01", "2001-02-01"]


@pytest.mark.parametrize(
    ("step", "calendar", "after"),
    [
        ("12h", "360_day", "2001-02-30"),
        ("MS", "noleap", "2001-12-01"),
        ("ME", "noleap", "2001-12-31"),
    ],
)
def test_other_calendars_go_on(
    tmp_path: Path, recent: Any, step: str, calendar: str, after: str
) -> None:
    """A year of 360 days, in which February has thirty, and months without leap days."""
    first = "2001-02-25" if step == "12h" else "2001-02-01"
    times = xarray.date_range(first, periods=10, freq=step, calendar=calendar, use_cftime=True)
    one = recent.assign_coords(time=times)
    known = pf.data.load(one, forecast="2:2").schema
    told = ExactForecast(2, learned_from={"schema": known.describe()})
    out = tmp_path / "next.nc"
    forecasting.forecast(told, one, 2, out=out, progress=False)
    with xarray.open_dataset(out) as found:
        assert found.time.values[0].calendar == calendar
        assert str(found.time.values[0]).startswith(after)
        both = xarray.concat([one.time, found.time], "time")
    step, at = positions(both.values, "both")
    assert step == known.windows.step
    assert at.tolist() == list(range(12))


def test_masked_cells_stay_masked() -> None:
    store = series(40)
    store["u"][:, 0, :3] = np.nan
    data = pf.data.load(store, forecast="2:2")
    told = ExactForecast(2, learned_from={"schema": data.schema.describe()})
    found = forecasting.forecast(told, store, 3, progress=False)
    gaps = found.u.isnull().values
    assert gaps[:, :, 0, :3].all()
    assert gaps.sum() == 3 * 2 * 3


def test_packed_numbers_come_out_as_what_they_stand_for(tmp_path: Path) -> None:
    """Beyond the range of the packed integers too, which ends at 1.27."""
    path, out = tmp_path / "packed.nc", tmp_path / "next.nc"
    packing = {"dtype": "i1", "scale_factor": 0.01, "_FillValue": -128}
    store = series(40)
    store["u"] = store.u.clip(-1.2, 1.2)
    store.to_netcdf(path, encoding={"u": packing})
    data = pf.data.load(path, forecast="2:2")
    told = ExactForecast(2, 5.0, {"schema": data.schema.describe()})
    whole = forecasting.forecast(told, path, 2, progress=False)
    forecasting.forecast(told, path, 2, out=out, progress=False)
    with xarray.open_dataset(path) as given, xarray.open_dataset(out) as found:
        assert found.u.dtype == given.u.dtype
        assert (found.u.values == whole.u.values).all()
        assert float(abs(found.u).max()) > 1.27


def test_forecasts_stay_in_the_valid_range() -> None:
    for end, kept in ((-10.0, -10.0), (0.5, None)):
        store = series(40)
        store["u"].attrs["valid_min"] = end
        store["u"][:] = store.u + (-end if kept is None else 0)
        data = pf.data.load(store, forecast="2:2")
        told = ExactForecast(2, 30.0, {"schema": data.schema.describe()})
        least = float(forecasting.forecast(told, store, 3, progress=False).u.min())
        # An end that the data are beyond themselves is no end.
        assert least == kept if kept is not None else least < end


def test_other_values_and_lacking_units_are_told(recent: Any, tmp_path: Path) -> None:
    """Kelvins for degrees Celsius, in a file that does not say so."""
    data = pf.data.load(series(40), forecast="2:2")
    made = pf.models.FrameRegression.for_data(
        data, net=lambda *a, **k: pf.nn.UNet(*a, width=8, blocks=1, **k)
    )
    pf.fit(made, data, steps=1, progress=False)
    forecasting.forecast(made, recent, 1, progress=False)
    bare = recent.assign(u=recent.u.assign_attrs(units="m") * 1.0)
    bare.u.attrs.clear()
    with pytest.warns(UserWarning, match="u says no units: taken for m"):
        forecasting.forecast(made, bare, 1, progress=False)
    far = recent.assign(u=(recent.u + 273.15).assign_attrs(units="m"))
    with pytest.warns(
        UserWarning, match=r"u of the frames given is 27\d.* 2\d\d standard dev.* m:"
    ):
        forecasting.forecast(made, far, 1, progress=False)


def test_frames_that_lack_values_are_left_out_with_their_times(model: Any, recent: Any) -> None:
    whole = {"reading": {"drop_nonfinite": True}, "progress": False}
    hole = _other(recent, "hole")
    with pytest.warns(UserWarning, match=r"the last 1 of 10 frames lack values .* after time 8"):
        found = forecasting.forecast(model, hole, 2, **whole)
    expected = forecasting.forecast(model, recent.isel(time=slice(0, -1)), 2, progress=False)
    assert found.equals(expected)
    again = forecasting.forecast(model, recent, 2, reading={"lazy": False}, progress=False)
    assert again.equals(forecasting.forecast(model, recent, 2, progress=False))
    inside = recent.copy(deep=True)
    inside["u"][-2, 3, 4] = np.nan
    with pytest.raises(
        InputError, match=r"from time 7 .* to the next \(time 9 .* is 2 times 1 hour"
    ):
        forecasting.forecast(model, inside, 2, **whole)
    known = pf.data.load(series(40).drop_vars("time"), forecast="2:2").schema.describe()
    told = ExactForecast(2, learned_from={"schema": known})
    with pytest.raises(InputError, match=r"from row 7 to the next \(row 9\) it is 2 times"):
        forecasting.forecast(told, inside.drop_vars("time"), 2, **whole)


def _other(recent: xarray.Dataset, what: str) -> xarray.Dataset:
    if what == "few":
        return recent.isel(time=slice(-1, None))
    if what == "order":
        return recent.transpose("x", "time", "y")
    if what == "dimension":
        return recent.rename(x="lon")
    if what == "units":
        return recent.assign(u=recent.u.assign_attrs(units="cm"))
    if what == "grid":
        return recent.isel(x=slice(0, 6))
    if what == "step":
        return recent.isel(time=slice(None, None, 2))
    if what == "gap":
        return recent.isel(time=[0, 1, 2, 3, 4, 5, 6, 7, 9])
    hole = recent.copy(deep=True)
    hole["u"][-1, 3, 4] = np.nan
    return hole


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("few", r"has 1 frame, and the model is given the last 2"),
        ("dimension", r"has no dimension 'x' but .* rename it"),
        ("units", r"u is in cm, and the model was trained on m: convert it"),
        ("grid", r"has 6 cells along x, and the model was trained on 8"),
        ("step", r"from time 3 .* it is 2 times 1 hour, and the model is given the last 2 frames"),
        ("gap", r"from time 7 .* it is 2 times 1 hour, and .* fill in what lacks"),
        ("hole", r"u is missing at .* y 3, x 4"),
    ],
)
def test_what_does_not_fit_is_said(model: Any, recent: Any, what: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        forecasting.forecast(model, _other(recent, what), 2, progress=False)


def test_dimensions_in_another_order_are_put_in_order(model: Any, recent: Any) -> None:
    a = forecasting.forecast(model, recent, 2, progress=False)
    b = forecasting.forecast(model, _other(recent, "order"), 2, progress=False)
    assert (a.u.values == b.u.values).all()


def test_only_models_of_windows_forecast(recent: Any, tmp_path: Path, model: Any) -> None:
    plain = pf.data.load(recent)
    with pytest.raises(InputError, match="not trained on windows of frames"):
        forecasting.forecast(
            ExactForecast(2, learned_from={"schema": plain.schema.describe()}), recent, 2
        )
    with pytest.raises(InputError, match=r"goes to \.nc or \.zarr"):
        forecasting.forecast(model, recent, 2, out=tmp_path / "x.npz")
    (tmp_path / "x.zarr").mkdir()
    with pytest.raises(InputError, match="is there already"):
        forecasting.forecast(model, recent, 2, out=tmp_path / "x.zarr")


def test_a_fixed_model_of_two_families_learns_the_exact_law() -> None:
    """Two cells that follow each other: what is learned scores nearly as the law does."""
    g = torch.Generator().manual_seed(0)
    u, found = torch.randn(2, generator=g), []
    for _ in range(6000):
        u = KEEP * u.flip(0) + 0.6 * torch.randn(2, generator=g)
        found.append(u)
    store = xarray.Dataset(
        {"u": (("time", "x"), torch.stack(found).numpy())}, {"time": range(6000)}
    )
    data = pf.data.load(store, forecast="1:1")
    train, test = data.split(0.3)
    path = pf.processes.PointInterpolant(space=pf.spaces.space_of(data))
    for made in (
        pf.models.PointMatching.for_data(data, interpolant=path, net=_net()),
        pf.Diffusion.for_data(data, net=_net()),
    ):
        pf.fit(made, data, steps=400, batch_size=256, lr=3e-3, holdout=0.3, progress=False, seed=0)
        seen = forecasting.verify(made, test, train, members=12, starts=400, steps=12)
        crps = seen.scores["model"].mean("crps", 0, 0)
        exact = 0.6 / np.sqrt(np.pi)
        assert abs(crps.value - exact) < 0.03 * exact + 4 * crps.stderr
        ratio = seen.scores["model"].spread_skill(0, 0)
        assert abs(ratio.value - 1) < 0.06 + 4 * ratio.stderr


def _net() -> Any:
    torch.manual_seed(0)
    return pf.nn.MLP((1, 2), width=48, depth=2, context=2)
