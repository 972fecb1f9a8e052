from __future__ import annotations

import decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

from pushforward import _extras
from pushforward.data import load
from pushforward.errors import InputError, MissingExtraError


def write(folder: Path, columns: dict[str, Any], **options: Any) -> Path:
    path = folder / "t.parquet"
    pandas.DataFrame(columns, **options).to_parquet(path)
    return path


def test_numbers_and_text_labels(tmp_path: Path) -> None:
    path = write(tmp_path, {"a": [1, 2, 3], "b": [True, False, True], "k": ["v", "u", "v"]})
    data = load(path, label="k")
    assert data.x.tolist() == [[1, 1], [2, 0], [3, 1]]
    assert data.columns == ("a", "b")
    assert data.classes == ("u", "v")
    assert load(path, columns=["a"]).event_shape == (1,)


def test_an_index_is_not_data(tmp_path: Path) -> None:
    path = write(tmp_path, {"a": [1.0, 2.0]}, index=["x", "y"])
    assert load(path).x.tolist() == [[1], [2]]
    written = write(tmp_path, {"Unnamed: 0": [0, 1, 2], "a": [1.0, 2.0, 4.0]})
    data = load(written)
    assert (data.columns, data.x.tolist()) == (("a",), [[1], [2], [4]])


@pytest.mark.parametrize(
    "values",
    [
        [1.5, None, 2.5],
        pandas.array([1, None, 2], dtype="Int64"),
        [decimal.Decimal("1.5"), None, decimal.Decimal("2.5")],
        pandas.array([True, None, False], dtype="boolean"),
    ],
)
def test_missing_values(tmp_path: Path, values: Any) -> None:
    path = write(tmp_path, {"a": values})
    with pytest.raises(InputError, match=r"row 1 .*, column 'a' holds nan"):
        load(path)
    data = load(path, drop_nonfinite=True)
    assert data.x.flatten().tolist() == [float(values[0]), float(values[2])]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, 2.0], None),
        (["1", "x"], r"row 0 .*, column 'a': '1' is not a number: .* label='a'"),
        (pandas.to_datetime(["2020-01-01", "2020-01-02"]), "but a date: .* since='2020-01-01'"),
        (pandas.to_timedelta([1, 2], unit="D"), "but a time"),
        ([[1, 2], [3, 4]], "but a list"),
        (pandas.Categorical(["u", "v"]), "'u' is not a number"),
    ],
)
def test_columns_of_other_types(tmp_path: Path, values: Any, message: str | None) -> None:
    path = write(tmp_path, {"a": values})
    if message is None:
        assert len(load(path)) == 2
        return
    with pytest.raises(InputError, match=message):
        load(path)


def test_labels_of_other_types(tmp_path: Path) -> None:
    path = write(tmp_path, {"a": [1.0, 2.0], "k": pandas.Categorical(["v", "u"])})
    assert load(path, label="k").classes == ("u", "v")
    missing = write(tmp_path, {"a": [1.0, 2.0], "k": ["u", None]})
    with pytest.raises(InputError, match=r"row 1 .*: the label is missing"):
        load(missing, label="k")


def test_data_frames_in_memory() -> None:
    frame = pandas.DataFrame({"a": [1.0, 2.0], "k": ["v", "u"]})
    data = load(frame, label="k")
    assert (data.name, data.columns, data.classes) == ("data frame", ("a",), ("u", "v"))
    assert load(pandas.DataFrame(np.eye(3))).x.tolist() == np.eye(3).tolist()
    with pytest.raises(InputError, match=r"the data frame, row 0 .*'k'"):
        load(frame)


def test_damaged_files(tmp_path: Path) -> None:
    path = write(tmp_path, {"a": np.arange(100.0)})
    good = path.read_bytes()
    for bad in (b"PAR1junk", good[:200], b"a,b\n1,2\n"):
        path.write_bytes(bad)
        with pytest.raises(InputError, match=r"t\.parquet is damaged or not a parquet file"):
            load(path)


def test_pandas_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, {"a": [1.0, 2.0]})

    def without(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(_extras, "import_module", without)
    with pytest.raises(MissingExtraError, match=r"pip install 'pushforward\[data\]'"):
        load(path)
