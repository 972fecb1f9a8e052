"""Data as people have them: pairs, dictionaries, and data sets of Hugging Face."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, IterableDataset

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


@dataclass
class Value:
    """`datasets.Value`: a feature of numbers, texts or times, by the name of its type."""

    dtype: str


@dataclass
class ClassLabel:
    """`datasets.ClassLabel`: whole numbers that stand for names; -1 and None for none of them."""

    names: list[str]
    dtype: str = "int64"

    @property
    def num_classes(self) -> int:
        return len(self.names)


class HubColumn(Sequence[Any]):
    """`datasets.arrow_dataset.Column`, what a name gives: read when it is asked for."""

    def __init__(self, hub: Hub, name: str) -> None:
        self.hub, self.name = hub, name

    def __len__(self) -> int:
        return len(self.hub)

    def __getitem__(self, key: Any) -> Any:
        return self.hub[key][self.name]


class Hub:
    """What `datasets.Dataset` is to its users, by its documentation.

    A number gives a dictionary, a slice a dictionary of lists, a name a `HubColumn`. A format has a
    type, which converts what comes out, and columns, which are all that comes out without
    `output_all_columns`. A transform gets a batch of rows, and makes of it what comes out.
    """

    def __init__(
        self,
        columns: dict[str, list[Any]],
        features: dict[str, Any],
        format: dict[str, Any] | None = None,
    ) -> None:
        self._columns, self.features = columns, features
        kept = {"columns": list(columns), "output_all_columns": False, "format_kwargs": {}}
        self.format = {"type": None, **kept} if format is None else format

    @property
    def column_names(self) -> list[str]:
        return list(self._columns)

    @property
    def num_rows(self) -> int:
        return len(next(iter(self._columns.values())))

    def __len__(self) -> int:
        return self.num_rows

    def with_format(
        self,
        type: str | None = None,
        columns: list[str] | None = None,
        output_all_columns: bool = False,
        **format_kwargs: Any,
    ) -> Hub:
        form = {
            "type": type,
            "columns": self.column_names if columns is None else columns,
            "output_all_columns": output_all_columns,
            "format_kwargs": format_kwargs,
        }
        return Hub(self._columns, self.features, form)

    def with_transform(self, transform: Any) -> Hub:
        return self.with_format("custom", transform=transform)

    def to_dict(self) -> dict[str, list[Any]]:
        return dict(self._columns)

    def to_iterable_dataset(self) -> HubStream:
        return HubStream(self)

    def __getitem__(self, key: int | slice | str) -> Any:
        if isinstance(key, str):
            return HubColumn(self, key)
        form, rows = self.format, key if isinstance(key, slice) else slice(key, key + 1 or None)
        names = self.column_names if form["output_all_columns"] else form["columns"]
        batch = {name: self._columns[name][rows] for name in names}
        if form["type"] == "custom":
            batch = form["format_kwargs"]["transform"](batch)
        elif form["type"] == "torch":
            batch = {name: torch.as_tensor(values) for name, values in batch.items()}
        if isinstance(key, slice):
            return batch
        return {name: values[0] for name, values in batch.items()}


class HubStream(IterableDataset):  # type: ignore[type-arg]
    """`datasets.IterableDataset`: no length, no numbers; one of a generator knows no features."""

    def __init__(self, hub: Hub, known: bool = True) -> None:
        self._hub = hub
        self.features = hub.features if known else None
        self.column_names = hub.column_names if known else None

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self._hub[i] for i in range(len(self._hub)))

    def with_format(self, type: str | None = None) -> HubStream:
        return HubStream(self._hub.with_format(type), self.features is not None)


class HubSplits(dict[str, Any]):
    """`datasets.DatasetDict`: data sets by the names of their splits."""

    @property
    def column_names(self) -> dict[str, Any]:
        return {name: part.column_names for name, part in self.items()}


PETS = {"a": [0.5, 1.5, 2.5], "b": [1, 2, 3], "kind": [2, 0, 2]}
OF_PETS = {
    "a": Value("float32"),
    "b": Value("int8"),
    "kind": ClassLabel(["cat", "ant", "bee"]),
}
HUB = Hub(PETS, OF_PETS)


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
@pytest.mark.parametrize("stream", [False, True], ids=["map", "stream"])
def test_data_sets_of_hugging_face(format: str | None, stream: bool) -> None:
    hub = HUB.with_format(format)
    given = {"n": 3} if stream else {}
    source: Any = hub.to_iterable_dataset() if stream else hub
    data = load(source, **given)
    assert data.columns == ("a", "b")
    assert [column.dtype for column in data.schema.columns] == ["float32", "int8"]
    # In the order of the names, also of those that do not occur.
    assert data.classes == ("cat", "ant", "bee")
    assert data.c is not None
    assert data.c.tolist() == [2, 0, 2]
    assert data.schema.label == "kind"
    assert load(source, label=False, **given).columns == ("a", "b", "kind")
    assert load(source, label=False, columns=["b"], **given).x.tolist() == [[1], [2], [3]]
    other = load(source, label="b", columns=["a"], **given)
    assert other.classes == (1, 2, 3)


def test_streams_of_hugging_face_are_read_from_their_start() -> None:
    stream = HUB.to_iterable_dataset()
    assert load(stream, n=2).x.tolist() == [[0.5, 1], [1.5, 2]]
    assert len(load(stream, n=100)) == 3
    unknown = load(HubStream(HUB, known=False), n=3)
    assert (unknown.columns, unknown.classes) == (("a", "b", "kind"), ())


def test_formats_choose_columns_and_transforms_make_items() -> None:
    few = HUB.with_format("torch", columns=["a"])
    assert load(few).columns == ("a",)
    everything = HUB.with_format("torch", columns=["a"], output_all_columns=True)
    assert load(everything).columns == ("a", "b")
    made = HUB.with_transform(lambda rows: {"z": [2 * a for a in rows["a"]], "kind": rows["kind"]})
    data = load(made)
    assert (data.columns, data.x[:, 0].tolist()) == (("z",), [1, 3, 5])
    assert data.classes == ("cat", "ant", "bee")
    names = OF_PETS["kind"].names
    named = HUB.with_transform(lambda rows: {**rows, "kind": [names[k] for k in rows["kind"]]})
    assert load(named).classes == ("bee", "cat")


def test_dates_and_codes_for_gaps_are_read_as_in_tables() -> None:
    rows = {"day": [date(2024, 1, 2), date(2024, 1, 4)], "a": [-999.0, 2.0]}
    hub = Hub(rows, {"day": Value("date32"), "a": Value("float64")})
    items = [dict(zip(rows, row, strict=True)) for row in zip(*rows.values(), strict=True)]
    for source in (hub, hub.to_dict(), items, Items(items)):
        options = {"since": "2024-01-01", "missing": -999, "drop_nonfinite": True}
        data = load(source, **options)
        assert (data.x.tolist(), data.dropped) == ([[3, 2]], 1)
    with pytest.raises(InputError, match="since='2024-01-01': the items of Items have no names"):
        load(Items([1.0, 2.0]), since="2024-01-01")


def test_pictures_of_hugging_face() -> None:
    image = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
    features = {"image": Value("PIL.Image.Image"), "label": ClassLabel(["zero", "one"])}
    data = load(Hub({"image": [image, image], "label": [1, 0]}, features))
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


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (HUB.to_iterable_dataset(), {}, "HubStream is a stream .* n=1000 reads its first 1000"),
        (HUB, {"n": 2}, "n=2 means nothing for a Hub of Hugging Face; it takes columns="),
        (
            HubSplits(train=HUB, test=HUB),
            {},
            r"HubSplits holds the splits 'train', 'test': .* such as data\['train'\]",
        ),
        ({"a": {"x": [1.0]}, "b": {"x": [2.0]}}, {}, "dict holds the splits 'a', 'b'"),
        ({"a": pd.DataFrame({"x": [1.0]})}, {}, r"give one of them, such as data\['a'\]"),
        ([{"a": 1.0}, 2.0], {}, "item 1 is a float"),
        ([{"a": 1.0}, {"b": 2.0}], {}, "a|missing"),
        ([{"a": "red"}, {"a": "green"}], {}, "'red'"),
        ([{"a": [1.0, 2.0]}, {"a": [1.0]}], {}, r"item 1 has shape \(1,\)"),
        ([{"a": 1.0, "y": 0}, {"a": 2.0, "y": 1}], {"label": "z"}, "has no column 'z'"),
        (
            Hub(
                {"a": [1.0, 2.0], "y": [0, -1]},
                {"a": Value("float32"), "y": ClassLabel(["u", "v"])},
            ),
            {},
            "item 1: label -1 is none of",
        ),
        ((np.eye(2), [0, 1]), {"label": [1, 0]}, "has labels in y"),
        (Items([1.0, 2.0]), {"columns": ["a"]}, "have no names"),
    ],
)
def test_what_cannot_be_read_is_said(source: Any, options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(source, **options)
