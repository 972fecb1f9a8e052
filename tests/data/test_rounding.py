"""What the columns of a table take for values, and samples brought to the nearest of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas
import pytest
import torch

import pushforward as pf
from pushforward.data.column_values import described, entries_of
from pushforward.data.rounding import rounded, typed, typed_array
from pushforward.data.schema import Column, Schema
from pushforward.errors import InputError
from pushforward.spaces import Euclidean, Product, Tokens, Torus

GENERATOR = np.random.default_rng(0)


def _table(n: int = 300) -> pandas.DataFrame:
    return pandas.DataFrame(
        {
            "age": GENERATOR.integers(18, 90, n),
            "visits": GENERATOR.integers(0, 5, n),
            "dose": GENERATOR.choice([0.5, 1.0, 2.5], n),
            "whole": GENERATOR.integers(0, 1000, n).astype(float),
            "height": GENERATOR.normal(170, 10, n),
        }
    )


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_types_and_levels_are_found_when_a_table_is_read(tmp_path: Path, suffix: str) -> None:
    frame, path = _table(), tmp_path / f"t{suffix}"
    frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path)
    columns = {column.name: column for column in pf.data.load(path).schema.columns}
    low, high = float(frame["age"].min()), float(frame["age"].max())
    assert columns["age"] == Column("age", "int64", value_range=(low, high))
    assert columns["visits"] == Column("visits", "int64", (0.0, 1.0, 2.0, 3.0, 4.0))
    assert columns["dose"] == Column("dose", "float64", (0.5, 1.0, 2.5))
    # A point in the file says that these are no integers.
    digits = 0 if suffix == ".csv" else None
    assert columns["whole"] == Column("whole", "float64", decimals=digits)
    assert columns["height"] == Column("height", "float64")


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("Int64", "int64"), ("boolean", "bool"), ("Float32", "float32"), ("int8", "int8")],
)
def test_types_of_pandas_have_names_of_numpy(dtype: str, expected: str) -> None:
    frame = pandas.DataFrame({"a": pandas.array([0, 1, 1], dtype=dtype), "b": [0.1, 0.2, 0.3]})
    assert pf.data.load(frame).schema.columns[0].dtype == expected


def test_few_values_in_few_rows_are_no_levels() -> None:
    x = np.array([[0.5], [1.5], [0.5], [2.5]])
    assert described((Column("a"),), x) == (Column("a"),)
    assert described((Column("a"),), np.tile(x, (10, 1)))[0].levels == (0.5, 1.5, 2.5)
    many = np.tile(np.arange(21.0), 100)[:, None]
    assert described((Column("a"),), many)[0].levels is None
    # The first rows may have few values where all have many.
    late = np.concatenate([np.zeros(10_000), np.arange(100.0)])[:, None]
    assert described((Column("a"),), late)[0].levels is None


def test_levels_outlive_the_description_of_a_run() -> None:
    columns = (
        Column("tame", "bool", (0.0, 1.0), ("no", "yes")),
        Column("age", "int64", value_range=(0.0, 9.0)),
    )
    for schema in (
        Schema(columns, "kind", ("a", 2)),
        Schema(entries=entries_of(np.arange(4, dtype=np.uint8))),
    ):
        assert Schema.from_description(schema.describe()) == schema


def test_integers_stay_in_the_range_of_the_data_and_levels_are_the_nearest() -> None:
    schema = Schema(
        (Column("age", "int64", value_range=(18.0, 89.0)), Column("dose", levels=(0.5, 1.0, 2.5)))
    )
    x = torch.tensor([[3.0, -9.0], [41.4, 0.74], [41.6, 0.76], [300.0, 1.8]])
    expected = [[18.0, 0.5], [41.0, 0.5], [42.0, 1.0], [89.0, 2.5]]
    assert rounded(x, Euclidean(), schema).tolist() == expected
    assert rounded(x.double(), Euclidean(), schema).dtype == torch.float64
    # Values of the data are where they were.
    known = torch.tensor(expected)
    assert torch.equal(rounded(known, Euclidean(), schema), known)


def test_what_is_not_finite_is_not_hidden() -> None:
    schema = Schema(
        (Column("age", "int64", value_range=(0.0, 9.0)), Column("a", levels=(0.0, 1.0)))
    )
    x = torch.tensor([[torch.nan, torch.nan], [torch.inf, -torch.inf]])
    found = rounded(x, Euclidean(), schema)
    assert torch.equal(found.nan_to_num(7.0), x.nan_to_num(7.0))
    with pytest.raises(InputError, match="2 of 2 numbers are not finite, and data of int64"):
        typed(x[:, 0], schema.columns[0])
    with pytest.raises(InputError, match="1 of 2 numbers are not finite, and data of bool"):
        typed_array(torch.tensor([torch.nan, 1.0]), np.dtype(bool))
    words = Column("tame", "bool", (0.0, 1.0), ("no", "yes"))
    with pytest.raises(InputError, match="not finite"):
        typed(x[:, 0], words)


def test_levels_of_numbers_that_a_space_changes_are_forgotten() -> None:
    """Hours from 0 to 23 that were wrapped to (-pi, pi] are no levels of angles."""
    hours = pandas.DataFrame({"hour": np.arange(300) % 3 * 3, "day": np.arange(300) % 3})
    space = Product(Torus(1), Euclidean(1))
    data = pf.data.load(hours, space=space)
    assert data.schema.columns[0] == Column("hour")
    assert data.schema.columns[1].levels == (0.0, 1.0, 2.0)
    assert pf.data.load(hours.to_numpy(), space=Torus()).schema.entries is None
    words = pf.data.load(hours.to_numpy(), space=Tokens(7))
    assert words.schema.entries == Column("", "int64", value_range=(0.0, 6.0))
