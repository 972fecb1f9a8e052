"""Dictionaries in memory: columns, as a data frame is made of them, and arrays, as in an `.npz`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward.data import load
from pushforward.errors import InputError

COLUMNS = {"length": [1.5, 2.5, 3.5], "legs": [4, 2, 4], "kind": ["cat", "bird", "dog"]}
X = np.arange(6.0).reshape(3, 2)


def _as(make: Any) -> dict[str, Any]:
    return {name: make(values) for name, values in COLUMNS.items()}


@pytest.mark.parametrize(
    "entries",
    [
        COLUMNS,
        _as(tuple),
        _as(np.array),
        _as(pd.Series),
        {**_as(np.array), "legs": torch.tensor([4, 2, 4]), "length": torch.tensor([1.5, 2.5, 3.5])},
    ],
    ids=["lists", "tuples", "arrays", "series", "tensors"],
)
def test_a_dictionary_of_columns_is_read_as_its_data_frame(entries: dict[str, Any]) -> None:
    data, frame = load(entries, label="kind"), load(pd.DataFrame(COLUMNS), label="kind")
    assert data.columns == frame.columns == ("length", "legs")
    assert torch.equal(data.x, frame.x)
    assert data.classes == frame.classes == ("bird", "cat", "dog")
    assert torch.equal(data.c, frame.c)
    assert data.schema.label == "kind"
    assert load(entries, columns=["legs"]).x.tolist() == [[4], [2], [4]]


def test_columns_keep_their_types_and_are_matched_by_name() -> None:
    entries = {"a": np.array([1, 2], np.int8), "b": torch.tensor([True, False]), "c": [0.5, 1.5]}
    data = load(entries)
    assert [column.dtype for column in data.schema.columns] == ["int8", "bool", "float64"]
    turned = dict(reversed(list(entries.items())))
    assert torch.equal(load(turned, like=data).x, data.x)
    # Two columns called x and y are points of a plane, and no column is a label unasked.
    plane = load({"x": [0.0, 1.0], "y": [2, 3]})
    assert (plane.columns, plane.c) == (("x", "y"), None)


def test_gaps_and_dates_are_those_of_a_data_frame() -> None:
    entries = {
        "day": np.array(["2024-01-02", "2024-01-04", "NaT"], "datetime64[ns]"),
        "a": [None, 2.0, 1.0],
        "b": np.ma.masked_array([1.0, 2.0, 3.0], mask=[False, False, False]),
    }
    data = load(entries, since="2024-01-01", drop_nonfinite=True)
    assert (data.x.tolist(), data.dropped) == ([[3, 2, 2]], 2)
    with pytest.raises(InputError, match="since='2024-01-02'"):
        load(entries)


@pytest.mark.parametrize("make", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])
def test_a_dictionary_of_arrays_is_read_as_its_npz(make: Any, tmp_path: Path) -> None:
    arrays = {"x": make(X), "y": make(np.array([1, 0, 1])), "other": make(2 * X)}
    np.savez(tmp_path / "data.npz", **{name: np.asarray(array) for name, array in arrays.items()})
    for options in ({}, {"key": "other"}, {"label": False}, {"key": "y", "label": False}):
        data, file = load(arrays, **options), load(tmp_path / "data.npz", **options)
        assert torch.equal(data.x, file.x)
        assert data.schema == file.schema
        assert (data.c is None) == (file.c is None)
    pictures = [Image.new("RGB", (4, 6), (i, 0, 0)) for i in range(3)]
    data = load({"image": pictures, "label": [0, 1, 0]}, key="image", label="label")
    assert (data.kind, data.event_shape, data.levels) == ("image", (3, 6, 4), 256)
    assert data.c is not None
    assert data.c.tolist() == [0, 1, 0]


def test_a_dictionary_is_trained_on() -> None:
    model = pf.GaussianMixtureModel(components=1)
    entries = {"a": np.arange(40.0), "b": np.arange(40.0) % 7}
    pf.fit(model, entries, progress=False)
    assert model.learned_from is not None
    assert [c["name"] for c in model.learned_from["schema"]["columns"]] == ["a", "b"]


def test_parts_of_states_are_told_from_columns() -> None:
    spaces = pf.spaces
    points = {"x": torch.zeros(2, 3, 1), "mask": torch.ones(2, 3)}
    assert load(points, space=spaces.PointCloud()).x.mask.all()
    pair = spaces.Product((spaces.Euclidean(1), spaces.Euclidean(1)))
    parts = load({"0": torch.zeros(2, 1), "1": torch.ones(2, 1)}, space=pair)
    assert [part.tolist() for part in parts.x] == [[[0], [0]], [[1], [1]]]
    columns = load({"a": [0.0, 0.0], "b": [1.0, 1.0]}, space=pair)
    assert all(map(torch.equal, columns.x, parts.x))


@pytest.mark.parametrize(
    ("entries", "options", "message"),
    [
        ({}, {}, "the dictionary is empty"),
        ({"a": [1.0], "b": [1.0, 2.0]}, {}, "columns of different lengths: 'a' 1, 'b' 2"),
        ({"a": 1.0}, {}, "entry 'a' is a float: each entry is an array or a list"),
        ({"a": torch.tensor(1.0)}, {}, "entry 'a' is a single value"),
        ({"a": "text"}, {}, "entry 'a' is a str"),
        ({"a": [1.0, 2.0], "b": ["u", "v"]}, {}, "'u' is not a number"),
        ({"a": [1.0, 2.0]}, {"label": "b"}, "the dictionary has no column 'b'"),
        ({"u": X, "v": X}, {}, "the dictionary holds the arrays u, v: say which is the data"),
        ({"x": X, "y": [0, 1, 0]}, {"columns": "x"}, "a dictionary of arrays; it takes key="),
        ({"a": [[1.0, 2.0], [1.0]]}, {}, r"item 1 has shape \(1,\)"),
        ({"a": np.array([1, 2], "timedelta64[s]")}, {}, "entry 'a' holds times"),
    ],
)
def test_what_is_no_table_is_said(entries: Any, options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(entries, **options)
