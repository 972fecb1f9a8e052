"""Data as people have them: pairs, dictionaries, and data sets of Hugging Face."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset

from pushforward.data import load
from pushforward.errors import InputError

ROWS = [
    {"weight": 4.5, "legs": 4, "kind": "cat"},
    {"weight": 30.0, "legs": 4, "kind": "dog"},
    {"weight": 0.1, "legs": 2, "kind": "bird"},
]


class Items(Dataset):  # type: ignore[type-arg]
    """A map-style data set of PyTorch."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> Any:
        return self.items[i]


class Feature:
    """A feature of a Hugging Face data set; a `ClassLabel` has names."""

    def __init__(self, names: list[str] | None = None) -> None:
        if names is not None:
            self.names = names


class Hub:
    """What `datasets.Dataset` is to its users, by its documentation: columns, features, formats.

    Items are dictionaries, slices dictionaries of lists; another format converts what comes out.
    """

    def __init__(self, columns: dict[str, list[Any]], format: str | None = None, **classes: Any):
        self._columns, self._format, self._classes = columns, format, classes
        self.features = {name: Feature(classes.get(name)) for name in columns}

    @property
    def column_names(self) -> list[str]:
        return list(self._columns)

    def with_format(self, type: str | None = None) -> Hub:
        return Hub(self._columns, type, **self._classes)

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    def __getitem__(self, key: int | slice | str) -> Any:
        if isinstance(key, str):
            return self._made(self._columns[key])
        return {name: self._made(values[key]) for name, values in self._columns.items()}

    def _made(self, value: Any) -> Any:
        return torch.as_tensor(value) if self._format == "torch" else value


@pytest.mark.parametrize("wrap", [list, Items], ids=["list", "dataset"])
def test_dictionaries_are_rows_of_a_table(wrap: Any) -> None:
    data = load(wrap(ROWS), label="kind")
    assert data.columns == ("weight", "legs")
    assert [column.dtype for column in data.schema.columns] == ["float64", "int64"]
    assert data.classes == ("bird", "cat", "dog")
    assert data.schema.label == "kind"
    assert data.c is not None
    assert data.c.tolist() == [1, 2, 0]
    torch.testing.assert_close(data.x, torch.tensor([[4.5, 4], [30, 4], [0.1, 2]]))
    part = load(wrap(ROWS), columns=["legs", "weight"])
    assert part.columns == ("legs", "weight")
    assert part.x[1].tolist() == [4, 30]
    assert part.c is None


def test_dictionaries_of_arrays_have_one_that_is_learned() -> None:
    items = [{"signal": torch.full((3,), float(i)), "y": torch.tensor(i % 2)} for i in range(4)]
    data = load(Items(items), label="y")
    assert data.event_shape == (3,)
    assert data.x[:, 0].tolist() == [0, 1, 2, 3]
    assert data.classes == (0, 1)
    assert data.schema.label == "y"
    pictures = [{"image": Image.new("RGB", (4, 6), (i, 0, 0)), "id": i} for i in range(3)]
    data = load(pictures, columns="image")
    assert (data.kind, data.event_shape, data.levels) == ("image", (3, 6, 4), 256)
    with pytest.raises(InputError, match=r"'image' holds pictures .* columns=\['image'\]"):
        load(pictures)


@pytest.mark.parametrize("format", [None, "torch"])
def test_data_sets_of_hugging_face(format: str | None) -> None:
    columns = {"a": [0.5, 1.5, 2.5], "b": [1, 2, 3], "kind": [2, 0, 2]}
    hub = Hub(columns, format, kind=["cat", "ant", "bee"])
    data = load(hub)
    assert data.columns == ("a", "b")
    # In the order of the names, also of those that do not occur.
    assert data.classes == ("cat", "ant", "bee")
    assert data.c is not None
    assert data.c.tolist() == [2, 0, 2]
    assert data.schema.label == "kind"
    assert load(hub, label=False).columns == ("a", "b", "kind")
    assert load(hub, label=False, columns=["b"]).x.tolist() == [[1], [2], [3]]
    other = load(hub, label="b", columns=["a"])
    assert other.classes == (1, 2, 3)


def test_pictures_of_hugging_face() -> None:
    image = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
    data = load(Hub({"image": [image, image], "label": [1, 0]}, label=["zero", "one"]))
    assert (data.kind, data.event_shape, data.levels) == ("image", (1, 8, 8), 256)
    assert data.classes == ("zero", "one")
    assert data.c is not None
    assert data.c.tolist() == [1, 0]


def test_a_pair_is_data_with_labels() -> None:
    x, y = np.arange(8.0).reshape(4, 2), np.array([1, 0, 1, 1])
    for pair in ((x, y), (torch.tensor(x), torch.tensor(y)), (x.tolist(), y.tolist())):
        data = load(pair)
        assert data.x.tolist() == x.tolist()
        assert data.c is not None
        assert data.c.tolist() == [1, 0, 1, 1]
    frame, kind = pd.DataFrame(x, columns=["u", "v"]), pd.Series(list("babb"), name="kind")
    named = load((frame, kind))
    assert (named.columns, named.classes, named.schema.label) == (("u", "v"), ("a", "b"), "kind")
    assert load((x, y), label=False).c is None
    # Two rows of numbers are two rows of numbers.
    assert load((np.zeros(3), np.ones(3))).x.shape == (2, 3)


class Stream:
    """An `IterableDataset` of Hugging Face."""

    column_names, features = ("a",), {"a": Feature()}

    def __iter__(self) -> Any:
        return iter([{"a": 1.0}])


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (Stream(), {}, "is a stream"),
        ([{"a": 1.0}, 2.0], {}, "item 1 is a float"),
        ([{"a": 1.0}, {"b": 2.0}], {}, "a|missing"),
        ([{"a": "red"}, {"a": "green"}], {}, "'red'"),
        ([{"a": [1.0, 2.0]}, {"a": [1.0]}], {}, r"item 1 has shape \(1,\)"),
        ([{"a": 1.0, "y": 0}, {"a": 2.0, "y": 1}], {"label": "z"}, "has no column 'z'"),
        (Hub({"a": [1.0, 2.0], "y": [0, -1]}, y=["u", "v"]), {}, "item 1: label -1 is none of"),
        ((np.eye(2), [0, 1]), {"label": [1, 0]}, "has labels in y"),
        (Items([1.0, 2.0]), {"columns": ["a"]}, "have no names"),
    ],
)
def test_what_cannot_be_read_is_said(source: Any, options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(source, **options)
