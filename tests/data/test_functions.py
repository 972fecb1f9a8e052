"""Functions from tables, arrays and stores: what goes in comes out, and what does not fit is
said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray

import pushforward as pf
from pushforward.data import Data, load
from pushforward.data.writing import write
from pushforward.errors import InputError

WIDE = "0,0.5,1\n1.5,2,3\n4,,6\n"
LONG = "who,t,u,v\nann,0,1,2\nann,2,3,4\nbob,1,5,6\nbob,2,7,8\n"


def _file(folder: Path, text: str, name: str = "curves.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def _back(data: Data, path: Path, **options: object) -> Data:
    space = pf.spaces.space_of(data)
    write(path, data.x, space=space, schema=data.schema)
    return load(path, like=data, **options)


def test_a_wide_table(tmp_path: Path) -> None:
    data = load(_file(tmp_path, WIDE), kind="functions")
    assert data.x.shape == (2, 1, 3)
    assert bool(data.x[1, 0, 1].isnan())
    assert data.schema.functions is not None
    assert data.schema.functions.masked
    space = pf.spaces.space_of(data)
    assert space.axes == ((0.0, 0.5, 1.0),)
    assert space.masked
    whole = Data(data.x.nan_to_num(5.0), schema=data.schema)
    again = _back(whole, tmp_path / "again.csv")
    assert torch.equal(again.x, whole.x)
    assert (tmp_path / "again.csv").read_text().splitlines()[0] == "0,0.5,1"


def test_columns_as_r_calls_them_and_an_index(tmp_path: Path) -> None:
    path = _file(tmp_path, '"","X1","X2","X3"\n"1",3,4,5\n"2",6,7,8\n')
    data = load(path, kind="functions")
    assert pf.spaces.space_of(data).axes == ((1.0, 2.0, 3.0),)
    assert "numbers the rows" in data.notes[0]
    named = _file(tmp_path, ",1,2,3\nOslo,3,4,5\nRome,6,7,8\n", "named.csv")
    assert "names the rows" in load(named, kind="functions").notes[0]
    assert load(path, like=data).schema == data.schema


def test_a_long_table(tmp_path: Path) -> None:
    data = load(_file(tmp_path, LONG), kind="functions", id="who")
    assert data.x.shape == (2, 2, 3)  # at 0, 1 and 2
    assert data.x[0, :, 2].tolist() == [3.0, 4.0]
    assert bool(data.x[0, :, 1].isnan().all())
    space = pf.spaces.space_of(data)
    assert (space.names, space.labels) == (("u", "v"), ("t",))
    again = _back(data, tmp_path / "again.csv")
    assert torch.equal(again.x.nan_to_num(-1.0), data.x.nan_to_num(-1.0))
    assert (tmp_path / "again.csv").read_text().splitlines()[:2] == ["who,t,u,v", "0,0,1.0,2.0"]


def test_a_long_table_of_two_coordinates(tmp_path: Path) -> None:
    rows = [f"{k},{x},{y},{k + x * y}" for k in (3, 1) for x in (0, 1) for y in (0, 0.5, 1)]
    path = _file(tmp_path, "\n".join(["id,x,y,z", *rows]))
    data = load(path, kind="functions", id="id", coordinates="x,y")
    assert data.x.shape == (2, 1, 2, 3)
    assert data.x[0, 0].tolist() == [[3.0, 3.0, 3.0], [3.0, 3.5, 4.0]]
    scattered = _file(tmp_path, "\n".join(["id,x,y,z", *rows[:4]]), "some.csv")
    data = load(scattered, kind="functions", id="id", coordinates="x,y")
    assert data.x.shape == (1, 1, 4)
    assert pf.spaces.space_of(data).points.shape == (4, 2)


def test_arrays(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(4, 2, 5)).astype(np.float32)
    np.save(tmp_path / "a.npy", values)
    plain = load(tmp_path / "a.npy", kind="functions")
    assert plain.x.shape == (4, 1, 2, 5)
    channels = load(tmp_path / "a.npy", kind="functions", channels=2, periodic="0")
    assert channels.x.shape == (4, 2, 5)
    assert pf.spaces.space_of(channels).periodic == (True,)
    for data in (plain, channels):
        _back(data, tmp_path / "b.npy")
        assert np.array_equal(np.load(tmp_path / "b.npy"), values)
    values[1, 0, 3] = np.nan
    np.save(tmp_path / "gaps.npy", values)
    with pytest.raises(InputError, match=r"\(1, 0, 0, 3\) of the array is nan: .*missing=nan"):
        load(tmp_path / "gaps.npy", kind="functions")
    assert int(load(tmp_path / "gaps.npy", kind="functions", missing="nan").x.isnan().sum()) == 1
    assert load(values[:, 0], kind="functions", missing="nan").x.shape == (4, 1, 5)


def test_a_store(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(6, 8)).astype(np.float32)
    store = xarray.Dataset(
        {"temp": (("station", "day"), values, {"units": "K"})},
        coords={"day": np.arange(8) * 2.0},
    )
    store.to_netcdf(tmp_path / "temp.nc")
    data = load(tmp_path / "temp.nc", kind="functions", rows="station")
    assert data.x.shape == (6, 1, 8)
    space = pf.spaces.space_of(data)
    assert space.labels == ("day",)
    assert space.domain == ((-1.0, 15.0),)
    write(tmp_path / "new.nc", data.x, space=space, schema=data.schema)
    with xarray.open_dataset(tmp_path / "new.nc") as made:
        assert made.temp.dims == ("station", "day")
        assert made.temp.attrs["units"] == "K"
        assert np.array_equal(made.temp.values, values)


def test_latitudes_that_fall_keep_their_numbers_and_weigh_alike(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    store = xarray.Dataset(
        {"temp": (("time", "lat"), values)},
        coords={"lat": ("lat", [60.0, 58.0, 56.0, 54.0], {"units": "degrees_north"})},
    )
    store.to_netcdf(tmp_path / "temp.nc")
    data = load(tmp_path / "temp.nc", kind="functions", rows="time")
    assert not any("weigh" in note for note in data.notes)
    space = pf.spaces.space_of(data)
    assert space.domain == ((61.0, 53.0),)
    assert np.array_equal(data.x[:, 0].numpy(), values)
    assert load(tmp_path / "temp.nc", kind="functions", like=data).x.equal(data.x)
    with pytest.raises(InputError, match="weights='latitude' is for fields"):
        load(tmp_path / "temp.nc", kind="functions", rows="time", weights="latitude")


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("a,1\n1,2\n", {}, "column 'a' is no coordinate"),
        ("0,2,1\n1,2,3\n", {}, "'1' comes after '2'"),
        ("0,1\n1,nan\n", {}, "column '1', row 1: 'nan' is no finite number"),
        ("0,1\n1,x\n", {}, "'x' is no finite number"),
        ("0,1\n1,inf\n", {}, "'inf' is no finite number"),
        ("0,1\n1,2\n,\n", {}, None),
        ("0,1,2\n1,,2\n3,,4\n", {}, "no function has a value in the column '1'"),
        (LONG, {"id": "whom"}, "no column 'whom'"),
        (LONG + "bob,2,1,1\n", {"id": "who"}, "second value of who bob at t=2"),
        (LONG + "bob,,1,1\n", {"id": "who"}, "row 5 has no 't'"),
        (LONG + "cid,2,,\n", {"id": "who"}, "who cid has no value at all"),
        (LONG, {"id": "who", "coordinates": "t,u,v"}, "a value at least"),
        (WIDE, {"coordinates": "t"}, "table with id="),
        (WIDE, {"label": "a"}, "has no column 'a'"),
        (WIDE, {"periodic": "t"}, "have the axes 0 to 0"),
    ],
)
def test_what_does_not_fit_is_said(
    tmp_path: Path, text: str, options: dict[str, str], said: str | None
) -> None:
    path = _file(tmp_path, text)
    if said is None:
        # A line without any value is blank, as spreadsheets leave them.
        assert len(load(path, kind="functions", **options).x) == 1
        return
    with pytest.raises(InputError, match=said):
        load(path, kind="functions", **options)


def test_another_grid_is_refused(tmp_path: Path) -> None:
    data = load(_file(tmp_path, WIDE), kind="functions")
    other = _file(tmp_path, "0,0.5,2\n1,2,3\n", "other.csv")
    with pytest.raises(InputError, match="on another grid: point 2"):
        load(other, like=data)
    few = _file(tmp_path, "0,0.5\n1,2\n", "few.csv")
    with pytest.raises(InputError, match="at 2 points, the model knows 3"):
        load(few, like=data)
    long = load(_file(tmp_path, LONG, "long.csv"), kind="functions", id="who")
    part = load(_file(tmp_path, "who,t,u,v\nzoe,2,1,2\n", "part.csv"), like=long)
    assert part.x[0].nan_to_num(-1).tolist() == [[-1, -1, 1], [-1, -1, 2]]
    with pytest.raises(InputError, match="say kind=functions"):
        load(few, id="who")


def test_findings(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(1200, 4))).float()
    data = load(x.numpy(), kind="functions")
    assert pf.data.examine(data) == ()
    x[:, 1:] = torch.where(torch.from_numpy(rng.random((1200, 3)) < 0.9), torch.nan, x[:, 1:])
    x[5, 0] = 1e6
    titles = [f.title for f in pf.data.examine(load(x.numpy(), kind="functions", missing="nan"))]
    assert "A value is far from all others" in titles
    assert any("of the values are missing" in title for title in titles)


def test_channels_of_a_long_table_go_by_name(tmp_path: Path) -> None:
    whole = load(_file(tmp_path, "id,t,u,v\nb,0,1,2\nb,1,3,4\na,0,5,6\na,1,7,8\n"),
                 kind="functions", id="id")  # fmt: skip
    assert whole.schema.functions.ids == ("b", "a")
    turned = _file(tmp_path, "v,t,more,u,id\n2,0,x,1,c\n4,1,y,,c\n", "turned.csv")
    found = load(turned, kind="functions", like=whole)
    assert found.x[0, 0, 0] == 1
    assert found.x[0, 0, 1].isnan()
    assert found.x[0, 1].tolist() == [2, 4]
    assert found.schema.functions.ids == ("c",)
    assert any("knows no 'more': left out" in note for note in found.notes)
    few = _file(tmp_path, "id,t,v\nc,0,2\n", "few.csv")
    with pytest.raises(InputError, match="no column 'u'"):
        load(few, kind="functions", like=whole)


def test_dates_are_no_coordinates(tmp_path: Path) -> None:
    path = _file(tmp_path, "id,t,u\na,2020-01-01,1\na,2020-01-02,2\n")
    with pytest.raises(InputError, match="Write dates as numbers"):
        load(path, kind="functions", id="id")


def test_what_functions_are_told_goes_out_as_it_came_in(tmp_path: Path) -> None:
    wide, long = tmp_path / "wide.csv", tmp_path / "long.csv"
    wide.write_text("t0,kind,t1,dose\n1,b,2,0.5\n3,a,4,1.5\n")
    data = load(wide, kind="functions", label="kind", columns=["t0", "kind", "t1"])
    assert data.c.tolist() == [1, 0]
    assert data.schema.classes == ("a", "b")
    out = tmp_path / "out.csv"
    write(out, data.x, space=pf.spaces.space_of(data), schema=data.schema, labels=data.c)
    assert out.read_text() == "t0,kind,t1\n1.0,b,2.0\n3.0,a,4.0\n"
    other = tmp_path / "other.csv"
    other.write_text("t0,kind,t1\n1,a,2\n")
    assert load(other, like=data.schema).c.tolist() == [0]
    assert load(other, like=data.schema, label=False).c is None
    other.write_text("t0,t1\n1,2\n")
    assert load(other, like=data.schema).c is None
    long.write_text("id,dose,t,y\np,5,0,1\np,5,1,2\nq,7,1,3\n")
    told = load(long, kind="functions", id="id", given="dose")
    assert told.c.tolist() == [[5.0], [7.0]]
    assert told.schema.given[0].dtype == "int64"
    write(
        out,
        told.x,
        space=pf.spaces.space_of(told),
        schema=told.schema,
        told={"dose": np.array([5, 7])},
    )
    assert out.read_text().splitlines()[0] == "id,dose,t,y"
    assert load(long, like=told.schema).c.tolist() == told.c.tolist()
    other.write_text("t0,kind,t1\n1,c,2\n")
    for source, options, said in (
        (wide, {"label": "kid"}, "no column 'kid'"),
        (wide, {"label": "kind", "given": "dose"}, "leave one of them out"),
        (wide, {"given": "kind"}, "'b' is no finite number"),
        (long, {"id": "id", "label": "y"}, "row 2: column 'y' is '2' where another value"),
        (other, {"like": data.schema}, "have no kind 'c'"),
        (tmp_path / "x.npy", {"label": "kind"}, "is an array"),
    ):
        np.save(tmp_path / "x.npy", np.zeros((3, 4)))
        with pytest.raises(InputError, match=said):
            load(source, **({} if "like" in options else {"kind": "functions"}), **options)
