"""Tables and arrays have the names, types and spellings that the data came with."""

from __future__ import annotations

import dataclasses
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch

import pushforward as pf
from pushforward.data.array_files import ARRAYS
from pushforward.data.rounding import typed_array
from pushforward.data.schema import Column, Schema
from pushforward.data.table_files import TABLES
from pushforward.errors import InputError
from pushforward.spaces import Euclidean, Product, Tokens, Torus

PETS = Schema(
    (
        Column("legs", "int64", (0.0, 2.0, 4.0)),
        Column("age", "int64", value_range=(0.0, 20.0)),
        Column("tame", "bool", (0.0, 1.0), ("no", "yes")),
        Column("height", "float64"),
        Column("grade", "float64", (1.0, 1.3, 1.7)),
    ),
    label="kind",
    classes=("ant", "bee"),
)
RAW = torch.tensor(
    [[3.3, 7.6, 0.7, 0.1, 1.1], [-5.0, -0.6, -0.2, 2.0, 1.29], [9.0, 31.2, 0.49, 1 / 3, 1.9]]
)
LABELS = torch.tensor([1, 0, 1])
VALUES = {
    "legs": [4, 0, 4],
    "age": [8, 0, 20],
    "tame": [True, False, False],
    "grade": [1.0, 1.3, 1.7],
    "kind": ["bee", "ant", "bee"],
}


def _tabs(path: Path) -> pandas.DataFrame:
    return pandas.read_csv(path, sep="\t")


def _lines(path: Path, **options: Any) -> pandas.DataFrame:
    return pandas.read_json(path, lines=True, precise_float=True, **options)


TEXTS = [kind + packed for kind in (".csv", ".tsv", ".txt", ".dat") for packed in ("", ".gz")]
READERS = {
    **{suffix: pandas.read_csv if suffix.startswith(".csv") else _tabs for suffix in TEXTS},
    ".parquet": pandas.read_parquet,
    **dict.fromkeys((".feather", ".arrow"), pandas.read_feather),
    **dict.fromkeys((".jsonl", ".jsonl.gz", ".ndjson"), _lines),
    ".ndjson.gz": lambda path: _lines(path, compression="gzip"),
    ".xlsx": lambda path: pandas.read_excel(path, engine="openpyxl"),
}


def test_every_table_is_tried() -> None:
    assert set(READERS) == set(TABLES)


@pytest.mark.parametrize("suffix", READERS)
@pytest.mark.parametrize("words", [("no", "yes"), ("false", "true")])
def test_pandas_reads_the_names_types_and_values_of_the_data(
    tmp_path: Path, suffix: str, words: tuple[str, str]
) -> None:
    path = tmp_path / f"pets{suffix}"
    columns = (*PETS.columns[:2], Column("tame", "bool", (0.0, 1.0), words), *PETS.columns[3:])
    schema = dataclasses.replace(PETS, columns=columns)
    pf.data.write(path, RAW, space=Euclidean(), schema=schema, labels=LABELS)
    frame = READERS[suffix](path)
    assert list(frame.columns) == ["legs", "age", "tame", "height", "grade", "kind"]
    spelled = VALUES["tame"] if words[1] == "true" else ["yes", "no", "no"]
    for name, values in (VALUES | {"tame": spelled}).items():
        assert frame[name].tolist() == values, name
    assert [frame[name].dtype.kind for name in ("legs", "age", "height", "grade")] == list("iiff")
    assert (frame["tame"].dtype == bool) == (words[1] == "true")
    if suffix == ".csv":
        assert f",{words[1]},0.1," in path.read_text()
    heights = frame["height"].to_numpy().astype(np.float32)
    assert heights.tolist() == RAW[:, 3].tolist()


@pytest.mark.parametrize("suffix", [".parquet", ".feather"])
def test_labels_are_categories_if_they_were(tmp_path: Path, suffix: str) -> None:
    classes = ("ant", "bee", "cow")
    values = [classes[k] for k in LABELS.tolist()]
    frame = pandas.DataFrame({"height": [1.0, 2.5, 4.0], "kind": values})
    typed = frame.astype({"kind": pandas.CategoricalDtype(classes)})
    for known in (frame, typed):
        path = tmp_path / f"pets{suffix}"
        known.to_parquet(tmp_path / "pets.parquet")
        data = pf.data.load(tmp_path / "pets.parquet", label="kind")
        full = dataclasses.replace(data.schema, classes=classes)
        pf.data.write(path, data.x, space=Euclidean(), schema=full, labels=LABELS)
        pandas.testing.assert_frame_equal(READERS[suffix](path), known)


@pytest.mark.parametrize("dtype", ["int8", "int64", "float32", "bool"])
def test_labels_in_typed_files_keep_their_type(tmp_path: Path, dtype: str) -> None:
    frame = pandas.DataFrame({"a": [0.5, 1.5, 2.5], "kind": np.array([0, 1, 1]).astype(dtype)})
    frame.to_parquet(tmp_path / "x.parquet")
    data = pf.data.load(tmp_path / "x.parquet", label="kind")
    for suffix in (".parquet", ".feather"):
        path = tmp_path / f"y{suffix}"
        pf.data.write(path, data.x, space=Euclidean(), schema=data.schema, labels=data.c)
        pandas.testing.assert_frame_equal(READERS[suffix](path), frame)
    np.savez(tmp_path / "x.npz", x=np.eye(3), y=frame["kind"].to_numpy())
    data = pf.data.load(tmp_path / "x.npz")
    pf.data.write(tmp_path / "y.npz", data.x, space=Euclidean(), schema=data.schema, labels=data.c)
    found = np.load(tmp_path / "y.npz")["y"]
    assert (found.dtype, found.tolist()) == (dtype, frame["kind"].tolist())


@pytest.mark.parametrize("suffix", READERS)
def test_double_precision_is_written_in_full(tmp_path: Path, suffix: str) -> None:
    x = torch.tensor([[1.7e9 + 1 / 3], [-1e-300], [0.1]], dtype=torch.float64)
    path = tmp_path / f"x{suffix}"
    pf.data.write(path, x, space=Euclidean(), schema=Schema((Column("t", "float64"),)))
    found = READERS[suffix](path)["t"]
    assert found.dtype == np.float64
    # A spreadsheet keeps sixteen digits.
    rel = 1e-15 if suffix == ".xlsx" else 0.0
    assert found.tolist() == pytest.approx(x[:, 0].tolist(), rel=rel, abs=0.0)


@pytest.mark.parametrize(
    ("classes", "dtype"),
    [((2019, 2021), "int64"), ((False, True), "bool"), ((0.5, 1.5), "float64")],
)
def test_labels_have_the_type_of_their_values(
    tmp_path: Path, classes: tuple[Any, ...], dtype: str
) -> None:
    schema = Schema((Column("a"),), "year", classes)
    x = torch.randn(3, 1, generator=torch.Generator().manual_seed(0))
    for suffix in READERS:
        pf.data.write(tmp_path / f"x{suffix}", x, space=Euclidean(), schema=schema, labels=LABELS)
        found = READERS[suffix](tmp_path / f"x{suffix}")["year"]
        assert (found.dtype, found.tolist()) == (dtype, [classes[k] for k in LABELS.tolist()])
    pf.data.write(tmp_path / "x.npz", x, space=Euclidean(), schema=schema, labels=LABELS)
    assert np.load(tmp_path / "x.npz")["year"].dtype == dtype


def test_text_has_the_fewest_digits_that_tell_numbers_apart(tmp_path: Path) -> None:
    x = torch.tensor([[0.1, 2.0], [1e20, -1e-30]])
    pf.data.write(tmp_path / "x.csv", x, space=Euclidean())
    assert (tmp_path / "x.csv").read_bytes() == b"x0,x1\n0.1,2.0\n1e+20,-1e-30\n"
    pf.data.write(tmp_path / "x.csv.gz", x, space=Euclidean())
    assert gzip.decompress((tmp_path / "x.csv.gz").read_bytes()).startswith(b"x0,x1\n0.1,2.0\n")
    first = (tmp_path / "x.csv.gz").read_bytes()
    pf.data.write(tmp_path / "y.csv.gz", x, space=Euclidean())
    assert (tmp_path / "y.csv.gz").read_bytes() == first
    pf.data.write(tmp_path / "x.jsonl", x, space=Euclidean())
    assert json.loads((tmp_path / "x.jsonl").read_text().splitlines()[0]) == {"x0": 0.1, "x1": 2.0}
    # Parts of a product are put into one table in double precision, and show no digits of it.
    mixed = torch.tensor([[0.1], [2.0]]), torch.tensor([[7], [0]])
    pf.data.write(tmp_path / "m.csv", mixed, space=Product(Euclidean(1), Tokens(8)))
    assert (tmp_path / "m.csv").read_text().splitlines()[1:] == ["0.1,7", "2.0,0"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
@pytest.mark.parametrize(
    "schema",
    [
        Schema((Column("c"), Column("label"), Column("b"), Column("d"), Column("e"))),
        Schema((Column("a"), Column("a"), Column("b"), Column("d"), Column("e"))),
        Schema((Column("kind"), *PETS.columns[1:]), "kind", ("ant", "bee")),
    ],
)
def test_two_columns_of_one_name_are_refused(tmp_path: Path, suffix: str, schema: Schema) -> None:
    with pytest.raises(InputError, match=r"two columns would be called '(label|a|kind)'"):
        pf.data.write(tmp_path / f"x{suffix}", RAW, space=Euclidean(), schema=schema, labels=LABELS)
    assert list(tmp_path.iterdir()) == []


def test_arrays_have_the_type_of_the_data(tmp_path: Path) -> None:
    x = torch.tensor([[0.3, 300.0], [-2.0, 1.5]])
    for dtype, values in (
        ("uint8", [[0, 255], [0, 2]]),
        ("int64", [[0, 300], [-2, 2]]),
        ("bool", [[False, True], [False, True]]),
        ("float64", x.tolist()),
        ("float32", x.tolist()),
        ("float16", x.half().tolist()),
    ):
        schema = Schema(entries=Column("", dtype))
        pf.data.write(tmp_path / "x.npy", x, space=Euclidean(), schema=schema)
        pf.data.write(tmp_path / "x.npz", x, space=Euclidean(), schema=schema)
        for found in np.load(tmp_path / "x.npy"), np.load(tmp_path / "x.npz")["x"]:
            assert found.tolist() == values
            assert found.dtype == dtype
    for wide in (x, x.double()):
        pf.data.write(tmp_path / "x.npy", wide, space=Euclidean())
        assert np.load(tmp_path / "x.npy").dtype == wide.numpy().dtype
    # A half would be infinite.
    schema = Schema(entries=Column("", "float16"))
    pf.data.write(tmp_path / "x.npy", 1000 * x, space=Euclidean(), schema=schema)
    assert np.load(tmp_path / "x.npy").tolist() == (1000 * x).tolist()


def test_arrays_of_columns_are_rounded_as_their_table_is(tmp_path: Path) -> None:
    pf.data.write(tmp_path / "x.npz", RAW, space=Euclidean(), schema=PETS, labels=LABELS)
    found = np.load(tmp_path / "x.npz")
    assert found["x"][:, :3].tolist() == [[4, 8, 1], [0, 0, 0], [4, 20, 0]]
    assert found["x"][:, 3].tolist() == RAW[:, 3].tolist()
    assert found["kind"].tolist() == VALUES["kind"]


def test_quantized_states_are_written_at_their_levels(tmp_path: Path) -> None:
    x = torch.tensor([[0.2, 0.24, 0.26, 7.0]])
    pf.data.write(tmp_path / "x.npy", x, space=Euclidean(), levels=3, value_range=(0.0, 1.0))
    assert np.load(tmp_path / "x.npy").tolist() == [[0.0, 0.0, 0.5, 1.0]]


def test_integers_beyond_a_type_stay_at_its_ends() -> None:
    x = torch.tensor([-1e30, 2.5e9, 1e30])
    for dtype in ("int64", "int32", "uint8"):
        limits = np.iinfo(dtype)
        found = typed_array(x, np.dtype(dtype))
        assert found.dtype == dtype
        assert found.tolist() == [limits.min, min(limits.max, 2_500_000_000), limits.max]


def test_parts_of_a_product_are_rounded_with_their_columns(tmp_path: Path) -> None:
    space = Product(Euclidean(2), Torus(1))
    schema = Schema((Column("count", "int64"), Column("size"), Column("angle")))
    x = torch.tensor([[0.328, 0.4], [2.7, 1.5]]), torch.tensor([[0.4], [-3.0]])
    pf.data.write(tmp_path / "x.csv", x, space=space, schema=schema)
    assert (tmp_path / "x.csv").read_text().split() == [
        "count,size,angle",
        "0,0.4,0.4",
        "3,1.5,-3.0",
    ]
    pf.data.write(tmp_path / "x.npz", x, space=space, schema=schema)
    assert np.load(tmp_path / "x.npz")["x.0"].tolist() == [[0.0, x[0][0, 1].item()], [3.0, 1.5]]


def test_an_array_without_room_for_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no room for labels: write an \.npz"):
        pf.data.write(tmp_path / "x.npy", RAW, space=Euclidean(), labels=LABELS)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".txt"])
@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("size;kind;count\n1,5;ant;2\n2,25;bee;3\n", {"decimal": ","}),
        ("size,kind,count\ncm,,1\n1.5,ant,2\n2.25,bee,3\n", {"skip": [2]}),
        ("Pets of 2020\n\nsize,kind,count\n1.5,ant,2\n2.25,bee,3\n", {"skip": 2}),
        ("size,kind,Größe\n1.5,ant,2\n2.25,bee,3\n", {"encoding": "cp1252"}),
        ("1.5,ant,2\n2.25,bee,3\n", {}),
        ("1.5,ant,2\n2.25,bee,3\n", {"header": False}),
        ("7,1,2\n8,2,3\n", {}),
    ],
)
def test_text_is_written_as_it_was(
    tmp_path: Path, suffix: str, text: str, options: dict[str, Any]
) -> None:
    """Marks, titles, units, encodings, the place of labels; no header where there was none."""
    raw = text.encode(options.get("encoding", "utf-8"))
    path, again = tmp_path / f"x{suffix}", tmp_path / f"y{suffix}"
    path.write_bytes(gzip.compress(raw) if suffix.endswith(".gz") else raw)
    data = pf.data.load(path, label=1, **options)
    schema = Schema.from_description(json.loads(json.dumps(data.schema.describe())))
    assert schema == data.schema
    pf.data.write(again, data.x, space=Euclidean(), schema=schema, labels=data.c)
    found = again.read_bytes()
    assert (gzip.decompress(found) if suffix.endswith(".gz") else found) == raw
    # Other kinds of files are read without these options.
    pf.data.write(tmp_path / "y.tsv", data.x, space=Euclidean(), schema=schema, labels=data.c)
    if data.columns[0] == "size":
        other = pf.data.load(tmp_path / "y.tsv", label="kind")
        assert torch.equal(other.x, data.x)
        assert other.columns == data.columns


@pytest.mark.parametrize("suffix", ARRAYS)
@pytest.mark.parametrize("dtype", ["int16", "float64", "bool"])
def test_arrays_come_back_by_their_names(tmp_path: Path, suffix: str, dtype: str) -> None:
    x = np.arange(12).reshape(4, 3).astype(dtype)
    np.savez(tmp_path / "x.npz", counts=x, kind=np.array(["ant", "bee", "bee", "ant"]))
    data = pf.data.load(tmp_path / "x.npz", key="counts", label="kind")
    schema = Schema.from_description(data.schema.describe())
    path = tmp_path / f"y{suffix}"
    pf.data.write(path, data.x + 0.2, space=Euclidean(), schema=schema, labels=data.c)
    again = pf.data.load(path, key="counts", label="kind")
    assert (again.classes, again.c.tolist()) == (data.classes, data.c.tolist())
    assert torch.equal(again.x, data.x + 0.2 if dtype == "float64" else data.x)
    # NetCDF has no truths.
    kept = "int8" if dtype == "bool" and suffix == ".nc" else dtype
    assert again.schema.entries.dtype == kept


@pytest.mark.parametrize(
    ("rows", "options"),
    [
        ([["size", "kind"], ["cm", None], [1.5, "ant"], [2.5, "bee"]], {"skip": [2], "label": 1}),
        ([["Pets"], [], ["size", "kind"], [1.5, "ant"], [2.5, "bee"]], {"skip": 2, "label": 1}),
        ([["ant", 1.5], ["bee", 2.5]], {"header": False, "label": 0}),
        ([["size", "kind"], [1.5, "ant"], [2.5, "bee"]], {"key": "pets", "label": "kind"}),
    ],
)
def test_sheets_are_written_as_they_were(
    tmp_path: Path, rows: list[list[Any]], options: dict[str, Any]
) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    book.active.title = "pets"
    for row in rows:
        book.active.append(row)
    book.save(tmp_path / "x.xlsx")
    data = pf.data.load(tmp_path / "x.xlsx", **options)
    schema = Schema.from_description(json.loads(json.dumps(data.schema.describe())))
    pf.data.write(tmp_path / "y.xlsx", data.x, space=Euclidean(), schema=schema, labels=data.c)
    again = pf.data.load(tmp_path / "y.xlsx", **options)
    assert torch.equal(again.x, data.x)
    assert again.schema == data.schema
    assert again.classes == ("ant", "bee")
    found = openpyxl.load_workbook(tmp_path / "y.xlsx").active
    assert [[cell or None for cell in row] for row in found.iter_rows(values_only=True)] == [
        (row + [None, None])[:2] for row in rows
    ]
