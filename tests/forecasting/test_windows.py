"""Windows of frames: read as they are needed, never across a gap, parted by time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import xarray

import pushforward as pf
from pushforward.data import Schema
from pushforward.data.field_rows import FieldRows
from pushforward.data.stored import Stored
from pushforward.data.time_steps import TimeStep, positions
from pushforward.data.window_rows import frames_of
from pushforward.data.windows import Windows
from pushforward.errors import InputError


def _store(times: Any = None, rows: int = 40) -> xarray.Dataset:
    """Two variables, one of them with two levels, whose values tell time, level and place."""
    kept = np.arange(rows) if times is None else np.asarray(times)
    u = kept[:, None, None] + np.arange(16).reshape(4, 4) / 100
    v = 1000 + kept[:, None, None, None] + 100 * np.arange(2)[:, None, None] + np.zeros((4, 4))
    return xarray.Dataset(
        {
            "u": (("time", "y", "x"), u.astype("f4")),
            "v": (("time", "level", "y", "x"), v.astype("f4")),
        },
        {"time": np.datetime64("2000-01-01", "ns") + kept * np.timedelta64(6, "h")},
    )


def test_states_are_leads_and_contexts_what_came_before() -> None:
    data = pf.data.load(_store(), forecast="3:2")
    assert len(data) == 36
    assert data.event_shape == (6, 4, 4)
    assert data.context_shape == (9, 4, 4)
    assert data.schema.fields is not None
    assert data.schema.fields.channel_names == (
        "u[0]", "u[1]", "v[0,0]", "v[0,1]", "v[1,0]", "v[1,1]",
    )  # fmt: skip
    x, c = data.x[torch.tensor([0, 20])], data.c[torch.tensor([0, 20])]
    assert torch.equal(x[1, :, 0, 0], torch.tensor([23.0, 24, 1023, 1123, 1024, 1124]))
    assert torch.equal(c[0, :3, 0, 0], torch.tensor([0.0, 1, 2]))
    assert data.schema.frames is not None
    frames = frames_of(c, data.schema.frames)
    assert torch.equal(frames[1, :, 1, 0, 0], torch.tensor([1020.0, 1021, 1022]))
    last = data.schema.windows.last_frame(data.schema.frames)  # type: ignore[union-attr]
    assert torch.equal(
        c[:, list(last)][:, :, 0, 0][0], torch.tensor([2.0, 2, 1002, 1102, 1002, 1102])
    )
    assert Schema.from_description(data.schema.describe()) == data.schema


def test_no_window_goes_across_a_gap() -> None:
    there = [k for k in range(40) if k not in (10, 11, 25)]
    data = pf.data.load(_store(there), forecast="3:2")
    assert any("2 gaps in time" in note for note in data.notes)
    steps = torch.cat([data.c[:][:, :3, 0, 0], data.x[:][:, :2, 0, 0]], 1).diff(dim=1)
    assert torch.equal(steps, torch.ones_like(steps))
    assert len(data) == (10 - 4) + (13 - 4) + (14 - 4)


def test_a_row_that_is_left_out_is_a_gap() -> None:
    store = _store()
    store["u"][12, 0, 0] = np.nan
    with pytest.raises(InputError, match=r"u is missing at time 12 .* y 0, x 0"):
        pf.data.load(store, forecast="3:2")
    data = pf.data.load(store, forecast="3:2", drop_nonfinite=True)
    assert data.dropped == 1
    assert len(data) == (12 - 4) + (27 - 4)


def test_uneven_steps_are_refused_with_the_step() -> None:
    store = _store()
    late = store.time.values.copy()
    late[7] += np.timedelta64(1, "h")
    with pytest.raises(InputError, match=r"2000-01-02T12:00:00 \(row 6\) to .* is 7 hours, and mo"):
        pf.data.load(store.assign_coords(time=late), forecast="3:2")
    with pytest.raises(InputError, match="do not grow"):
        pf.data.load(store.isel(time=[0, 1, 1, 2, 3, 4, 5, 6]), forecast="3:2")
    with pytest.raises(InputError, match="5 frames, 3 of them in a row at the most"):
        pf.data.load(store.isel(time=[0, 1, 2, 4, 5]), forecast="3:2")
    with pytest.raises(InputError, match="is not PAST:LEADS"):
        pf.data.load(store, forecast="3")


def test_months_are_even_steps() -> None:
    months = np.arange("2000-01", "2004-01", dtype="datetime64[M]").astype("datetime64[ns]")
    step, at = positions(months, "x.nc")
    assert step == TimeStep(1, "months")
    assert at.tolist() == list(range(48))
    after = step.after(months[-1], 3).astype("datetime64[D]").astype(str).tolist()
    assert after == ["2004-01-01", "2004-02-01", "2004-03-01"]
    ends = (months.astype("datetime64[M]") + 1).astype("datetime64[D]") - np.timedelta64(1, "D")
    after = positions(ends, "x.nc")[0].after(ends[0], 2).astype(str).tolist()
    assert after == ["2000-02-29", "2000-03-31"]
    days = np.arange("2000-01-01", "2000-03-01", dtype="datetime64[D]").astype("datetime64[ns]")
    assert str(positions(days, "x.nc")[0]) == "1 day"


def test_parts_share_no_frame() -> None:
    data = pf.data.load(_store(rows=200), forecast="4:3")
    train, test = data.split(0.2, seed=5)
    assert train.rows is not None
    assert test.rows is not None
    assert len(test) == round(0.2 * len(data))
    assert int(train.rows.max()) + 7 == int(test.rows.min())
    assert test.rows.diff().eq(1).all()
    with pytest.raises(InputError, match="hold out less, or take shorter windows"):
        pf.data.load(_store(rows=12), forecast="4:3").split(0.5)


def test_masked_cells_say_nothing_to_the_network() -> None:
    store = _store()
    store["u"][:, 0, :2] = np.nan
    data = pf.data.load(store, forecast="2:1")
    c = data.c[:][:, 0]
    assert torch.allclose(c[:, 0, 0], c.flatten(1)[:, 2:].mean(1))
    assert (data.x[:][:, 0, 0, :2] == 0).all()
    assert pf.data.to_xarray(data.x[:2], data.schema).u.isnull().sum() == 4


def test_a_store_is_read_window_by_window(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "u.zarr"
    _store(rows=300).to_zarr(path, zarr_format=2)
    data = pf.data.load(path, forecast="3:2", lazy=True)
    read: list[int] = []
    whole = FieldRows.read

    def counted(self: FieldRows, numbers: Any, dtype: Any = None) -> Any:
        read.append(len(np.unique(numbers)))
        return whole(self, numbers, dtype)

    monkeypatch.setattr(FieldRows, "read", counted)
    assert isinstance(data.x, Stored)
    assert isinstance(data.c, Stored)
    few = torch.tensor([5, 200])
    assert torch.equal(data.x[few], pf.data.load(path, forecast="3:2", lazy=False).x[few])
    assert read[0] == 4  # two leads each
    read.clear()
    assert data.c[few].shape == (2, 9, 4, 4)
    assert read == [6]


def test_the_same_windows_are_known_again() -> None:
    data = pf.data.load(_store(), forecast="3:2")
    again = pf.data.load(_store(), like=data.schema)
    assert again.fingerprint == data.fingerprint
    with pytest.raises(InputError, match="was trained on forecasts 3:2"):
        pf.data.load(_store(), like=data.schema, forecast="4:2")
    slow = _store().isel(time=slice(None, None, 2))
    with pytest.raises(InputError, match=r"every 12 hours, and the model was .* every 6 hours"):
        pf.data.load(slow, like=data.schema)
    windows = replace(data.schema, windows=Windows(3, 2))
    assert len(pf.data.load(slow, like=windows)) == 16


def _halving(order: tuple[str, ...]) -> xarray.Dataset:
    """Three series of a linear world, `u_{k+1} = u_k / 2`, from starts of their own."""
    start = 1 + np.random.default_rng(0).random((3, 2, 4))
    u = start[:, None] * 0.5 ** np.arange(10)[:, None, None]
    made = xarray.DataArray(u.astype("f4"), dims=("run", "time", "y", "x"), name="u")
    hours = np.datetime64("2000-01-01", "ns") + np.arange(10) * np.timedelta64(1, "h")
    return made.assign_coords(time=hours).transpose(*order, "y", "x").to_dataset()


@pytest.mark.parametrize("order", [("run", "time"), ("time", "run")])
@pytest.mark.parametrize("lazy", [False, True])
def test_windows_of_several_series_never_go_from_one_to_the_next(order: Any, lazy: bool) -> None:
    """The world is exact in every window, which one across two series would not be."""
    data = pf.data.load(_halving(order), rows=["time", "run"], forecast="2:1", lazy=lazy)
    assert len(data) == 3 * 8
    assert any("3 series along" in note for note in data.notes)
    x, c = data.x[:], data.c[:]
    assert torch.equal(x, 0.5 * c[:, 1:])
    assert torch.equal(c[:, 1], 0.5 * c[:, 0])
    # Held out are the last times of all series, which share none with those trained on.
    train, test = data.split(0.25, seed=0)
    assert len(test) == 6
    assert float(test.x.max()) <= 0.5**9 * 4
    assert len(train) == 3 * 4
    assert data.schema.windows is not None
    times = data.schema.windows.times
    assert int(times(train.rows).max()) + 3 <= int(times(test.rows).min())
    again = Schema.from_description(data.schema.describe())
    assert again.windows == data.schema.windows


def test_a_frame_that_lacks_is_a_gap_of_its_series_alone() -> None:
    store = _halving(("run", "time"))
    store["u"][1, 4, 0, 0] = np.nan
    data = pf.data.load(store, rows=["run", "time"], forecast="2:1", drop_nonfinite=True)
    assert len(data) == 3 * 8 - 3
    assert torch.equal(data.x, 0.5 * data.c[:, 1:])
    assert any("its 1 gap in time" in note for note in data.notes)


def test_series_without_a_time_and_forecasts_of_many_are_refused() -> None:
    store = _halving(("run", "time")).rename(time="step").drop_vars("step")
    with pytest.raises(InputError, match="none, or more than one, is a time"):
        pf.data.load(store, rows=["run", "step"], forecast="2:1")
    data = pf.data.load(_halving(("run", "time")), rows=["run", "time"], forecast="2:1")
    with pytest.raises(InputError, match=r"a forecast follows one series.*isel\(run=0\)"):
        pf.forecasting.recent_frames(_halving(("run", "time")), data.schema)
    recent = pf.forecasting.recent_frames(_halving(("run", "time")).isel(run=1), data.schema)
    assert recent.frames.shape == (2, 1, 2, 4)
