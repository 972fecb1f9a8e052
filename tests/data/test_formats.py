"""Files of other programs: spreadsheets, Arrow, JSON lines, MATLAB, HDF5 and NetCDF."""

from __future__ import annotations

import datetime
import gzip
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import openpyxl
import pandas
import pyarrow
import pyarrow.feather
import pytest
import scipy.io

from pushforward import _extras
from pushforward.data import formats, load
from pushforward.errors import InputError, MissingExtraError

X = np.array([[1.5, 2.0], [3.25, -4.0], [0.1, 1e10]])
FRAME = pandas.DataFrame({
    "a": [1.5, 3.25, 0.1], "n": [1, 2, 2**40], "b": [True, False, True], "k": ["u", "v", "u"]
})  # fmt: skip


def sheet(path: Path, rows: list[list[Any]], title: str = "data") -> Path:
    book = openpyxl.Workbook()
    book.active.title = title
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


def stream(path: Path) -> None:
    table = pyarrow.Table.from_pandas(FRAME)
    with pyarrow.ipc.new_stream(str(path), table.schema) as writer:
        writer.write_table(table)


WRITTEN: dict[str, Callable[[Path], Any]] = {
    ".feather": lambda path: pyarrow.feather.write_feather(FRAME, str(path)),
    ".arrow": stream,
    ".parquet": lambda path: FRAME.to_parquet(path),
    ".jsonl": lambda path: FRAME.to_json(path, orient="records", lines=True),
    ".ndjson.gz": lambda path: path.write_bytes(
        gzip.compress(FRAME.to_json(orient="records", lines=True).encode())
    ),
    ".xlsx": lambda path: sheet(path, [list(FRAME.columns), *FRAME.values.tolist()]),
    ".csv.gz": lambda path: FRAME.to_csv(path, index=False),
    ".txt": lambda path: FRAME.to_csv(path, index=False, sep=" "),
}


@pytest.mark.parametrize("suffix", WRITTEN)
def test_a_table_is_the_same_in_every_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"
    WRITTEN[suffix](path)
    data = load(path, label="k")
    assert data.x.tolist() == FRAME[["a", "n", "b"]].astype("float32").to_numpy().tolist()
    assert [column.dtype for column in data.schema.columns] == ["float64", "int64", "bool"]
    assert (data.columns, data.classes, data.name) == (("a", "n", "b"), ("u", "v"), "t")
    with pytest.raises(InputError, match=r"'u' is not a number: .* columns=\['a', 'n', 'b'\]$"):
        load(path)
    assert load(path, columns=["n", "a"]).columns == ("n", "a")


@pytest.mark.parametrize("suffix", [".xlsx", ".jsonl", ".parquet", ".csv"])
def test_dates_and_codes_in_every_table(tmp_path: Path, suffix: str) -> None:
    days = [datetime.datetime(2024, 2, 28), datetime.datetime(2024, 3, 1, 12), None]
    days = [*days, datetime.datetime(2024, 2, 27)]
    words = ["1.5", "?", "2.5", "3"] if suffix == ".csv" else [1.5, "?", 2.5, 3.0]
    path = tmp_path / f"t{suffix}"
    if suffix == ".xlsx":
        sheet(path, [["when", "a"], *([d, w] for d, w in zip(days, words, strict=True))])
    elif suffix == ".jsonl":
        rows = [{"when": d and d.isoformat(" "), "a": w if w != "?" else -999.0}
                for d, w in zip(days, words, strict=True)]  # fmt: skip
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif suffix == ".parquet":
        codes = [w if w != "?" else -999.0 for w in words]
        pandas.DataFrame({"when": days, "a": codes}).to_parquet(path)
    else:
        pandas.DataFrame({"when": days, "a": words}).to_csv(path, index=False)
    with pytest.raises(InputError, match=r"but a date: read dates as days with since='2024-02-28'"):
        load(path, missing=["?", -999])
    data = load(path, since="2024-02-28", missing=["?", -999], drop_nonfinite=True)
    assert data.x.tolist() == [[0, 1.5], [-1, 3]]


def test_sheets_as_people_make_them(tmp_path: Path) -> None:
    path = sheet(
        tmp_path / "t.xlsx",
        [["Our station"], [], [None, "depth", "ok", "note"], [None, "m", None, None],
         [None, 1, "yes", "x"], [None, 2.5, "no", "y"], [None, 4, None, "z"]],
    )  # fmt: skip
    data = load(path, skip=[1, 4], columns=["depth", "ok"], drop_nonfinite=True)
    assert data.x.tolist() == [[1, 1], [2.5, 0]]
    assert data.schema.columns[1].words == ("no", "yes")
    with pytest.raises(InputError, match=r"sheet 'data', row 5 of the sheet, column 'note': 'x'"):
        load(path, skip=[1, 4])
    with pytest.raises(InputError, match=r"no sheet 'dat' .did you mean 'data'"):
        load(path, key="dat")
    with pytest.raises(InputError, match=r"'#N/A' is not a number.* missing='#N/A'"):
        load(sheet(tmp_path / "e.xlsx", [["a"], [1], [2], ["#N/A"]]))
    # Numbers stored as text are text.
    with pytest.raises(InputError, match=r"'2' is not a number"):
        load(sheet(tmp_path / "e.xlsx", [["a"], [1], ["2"], [3]]))
    with pytest.raises(InputError, match="empty"):
        load(sheet(tmp_path / "e.xlsx", []))
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match=r"damaged or not an \.xlsx file"):
        load(path)


def mat_v7(path: Path, arrays: dict[str, Any]) -> None:
    scipy.io.savemat(path, arrays)


def mat_v73(path: Path, arrays: dict[str, Any]) -> None:
    """As MATLAB does: axes turned around, a head of its own before that of HDF5."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            kind = {"b": b"logical"}.get(array.dtype.kind, b"double")
            stored = array.astype(np.uint8) if kind == b"logical" else array
            file.create_dataset(name, data=stored.T).attrs["MATLAB_class"] = np.bytes_(kind)
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(512, b"\0"))


def hdf5(path: Path, arrays: dict[str, Any]) -> None:
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array


def netcdf(path: Path, arrays: dict[str, Any], kind: str = "NETCDF4") -> None:
    with netCDF4.Dataset(path, "w", format=kind) as file:
        for name, array in arrays.items():
            sizes = [f"{name}_{axis}" for axis in range(array.ndim)]
            for size, length in zip(sizes, array.shape, strict=True):
                file.createDimension(size, length)
            file.createVariable(name, array.dtype, sizes)[...] = array


def netcdf3(path: Path, arrays: dict[str, Any]) -> None:
    netcdf(path, {k: v.astype("i4") if v.dtype.kind == "i" else v for k, v in arrays.items()},
           "NETCDF3_CLASSIC")  # fmt: skip


ARRAYS = {
    "mat": (".mat", mat_v7), "mat 7.3": (".mat", mat_v73), "h5": (".h5", hdf5),
    "hdf5": (".hdf5", hdf5), "nc": (".nc", netcdf), "nc 3": (".nc", netcdf3),
}  # fmt: skip


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_are_the_same_in_every_format(tmp_path: Path, kind: str) -> None:
    suffix, write = ARRAYS[kind]
    path = tmp_path / f"t{suffix}"
    write(path, {"x": X, "labels": np.array([2, 7, 2]), "other": np.arange(24.0).reshape(2, 3, 4)})
    data = load(path, label="labels")
    assert data.x.tolist() == X.astype(np.float32).tolist()
    assert [str(c) for c in data.classes] in (["2", "7"], ["2.0", "7.0"])
    assert load(path, key="other", label=False).x.flatten().tolist() == list(range(24))
    with pytest.raises(InputError, match=r"no array 'othre' .did you mean 'other'"):
        load(path, key="othre", label=False)
    write(path, {"one": X, "two": X})
    with pytest.raises(InputError, match=r"holds the arrays one, two: say which .* with key="):
        load(path)


@pytest.mark.parametrize("kind", ARRAYS)
def test_damaged_arrays(tmp_path: Path, kind: str) -> None:
    suffix, write = ARRAYS[kind]
    path = tmp_path / f"t{suffix}"
    write(path, {"x": np.random.default_rng(0).normal(size=(100, 20))})
    good = path.read_bytes()
    for bad in (good[: len(good) // 3], good[:-8], b"a,b\n1,2\n"):
        path.write_bytes(bad)
        with pytest.raises(InputError, match=r"damaged|file without arrays"):
            load(path)


def test_doubles_of_matlab_are_no_bytes(tmp_path: Path) -> None:
    """It writes doubles that happen to be small integers as bytes."""
    scipy.io.savemat(tmp_path / "t.mat", {"x": np.arange(12.0).reshape(3, 2, 2)})
    data = load(tmp_path / "t.mat")
    assert (data.kind, data.levels) == ("vector", None)
    mat_v73(tmp_path / "b.mat", {"x": np.eye(3) > 0})
    assert load(tmp_path / "b.mat").levels == 2


def test_what_is_no_array_is_refused(tmp_path: Path) -> None:
    cells = np.array([1.0, "a"], dtype=object)
    for value in (cells, {"field": 1.0}):
        scipy.io.savemat(tmp_path / "t.mat", {"x": value})
        with pytest.raises(InputError, match="cells, structures or objects"):
            load(tmp_path / "t.mat")
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file["x"] = ["text", "words"]
        file.create_dataset("r", (2,), dtype=h5py.ref_dtype)
    with pytest.raises(InputError, match="not numbers"):
        load(tmp_path / "t.h5", key="x")
    with pytest.raises(InputError, match="holds objects or text"):
        load(tmp_path / "t.h5", key="r")


def test_datasets_in_groups_and_with_fields(tmp_path: Path) -> None:
    rows = np.array([(1.5, 2, b"u"), (2.5, 3, b"v")], dtype=[("a", "f8"), ("n", "i4"), ("k", "S1")])
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file["group/rows"] = rows
        file["scalar"] = 3.0
    data = load(tmp_path / "t.h5", label="k")
    assert (data.columns, data.classes, data.x.tolist()) == (
        ("a", "n"),
        ("u", "v"),
        [[1.5, 2], [2.5, 3]],
    )
    with h5py.File(tmp_path / "t.h5", "a") as file:
        file["group/x"] = X
    assert load(tmp_path / "t.h5", key="group/x").x.shape == (3, 2)


def test_netcdf_has_coordinates_scales_and_gaps(tmp_path: Path) -> None:
    with netCDF4.Dataset(tmp_path / "t.nc", "w") as file:
        file.createDimension("time", 3)
        file.createDimension("y", 2)
        file.createVariable("time", "f8", ("time",))[:] = [0, 1, 2]
        file.createVariable("y", "f8", ("y",))[:] = [10, 20]
        packed = file.createVariable("temp", "i2", ("time", "y"), fill_value=-1)
        packed.scale_factor, packed.add_offset = 0.5, 100.0
        packed[:] = np.ma.masked_array([[100, 101], [102, 103], [104, 105]], np.eye(3, 2, -2))
    with pytest.raises(InputError, match="nan"):
        load(tmp_path / "t.nc", key="temp")
    data = load(tmp_path / "t.nc", drop_nonfinite=True, key="temp")
    assert data.x.tolist() == [[100, 101], [102, 103]]
    assert load(tmp_path / "t.nc", key="time").x.flatten().tolist() == [0, 1, 2]


@pytest.mark.parametrize("known", formats.FORMATS, ids=lambda known: known.suffixes[0])
def test_what_is_missing_is_asked_for(
    tmp_path: Path, known: formats.Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(_extras, "import_module", without)
    path = tmp_path / f"t{known.suffixes[0]}"
    path.write_bytes(b"something")
    if known.extra is None:
        with pytest.raises(InputError):
            load(path)
        return
    with pytest.raises(MissingExtraError, match=rf"pip install 'pushforward\[{known.extra}\]'"):
        load(path)


def test_times_are_no_floats() -> None:
    when = np.array(["2024-01-01", "2024-01-03"], dtype="datetime64[D]")[:, None]
    with pytest.raises(InputError, match=r"\(x - x.min\(\)\) / np.timedelta64\(1, 'D'\)") as error:
        load(when)
    assert "float32" not in str(error.value)
    x = when
    assert load((x - x.min()) / np.timedelta64(1, "D")).x.tolist() == [[0], [2]]


def test_the_guide_lists_every_format_and_option() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "guides" / "data.md").read_text(encoding="utf-8")
    for known in formats.FORMATS:
        plain = " ".join(f"`{s}`" for s in known.suffixes if not s.endswith(".gz"))
        packed = ", each also `.gz`" if any(s.endswith(".gz") for s in known.suffixes) else ""
        options = " ".join(f"`{option}`" for option in known.options) or "–"
        extra = "–" if known.extra is None else f"`{known.extra}`"
        assert f"| {plain}{packed} | {known.what} | {options} | {extra} |\n" in guide
        assert all(f"`{option}`" in guide.partition("## Labels")[0] for option in known.options)
        assert set(known.options) < set(inspect.signature(load).parameters)
