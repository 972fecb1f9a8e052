"""Columns of words that are given: in any kind of file, back again, and what is no such column."""

from __future__ import annotations

from pathlib import Path

import pandas
import pytest
import torch

import pushforward as pf
from pushforward.data.levels import MOST_WORDS
from pushforward.errors import InputError
from pushforward.spaces import Euclidean

ROWS = [("Rome", 1.5, "b 1"), ("Oslo", 2.5, "a,2"), ("Rome", 3.5, "a,2"), ("São Paulo", 4.5, "c")]
FRAME = pandas.DataFrame(ROWS, columns=["city", "y", "code"])
ONE_HOT = [[0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".feather", ".jsonl", ".xlsx"])
def test_words_are_one_hot_and_come_back(tmp_path: Path, suffix: str) -> None:
    path, again = tmp_path / f"t{suffix}", tmp_path / f"again{suffix}"
    write = {
        ".csv": lambda: FRAME.to_csv(path, index=False),
        ".tsv": lambda: FRAME.to_csv(path, sep="\t", index=False),
        ".parquet": lambda: FRAME.to_parquet(path),
        ".feather": lambda: FRAME.to_feather(path),
        ".jsonl": lambda: FRAME.to_json(path, orient="records", lines=True),
        ".xlsx": lambda: FRAME.to_excel(path, index=False),
    }
    write[suffix]()
    data = pf.data.load(path, given="city,code")
    assert data.x.tolist() == [[1.5], [2.5], [3.5], [4.5]]
    assert data.c[:, :3].tolist() == ONE_HOT
    assert data.c[:, 3:].argmax(1).tolist() == [1, 0, 0, 2]
    assert data.schema.given[0].words == ("Oslo", "Rome", "São Paulo")
    assert pf.data.Schema.from_description(data.schema.describe()) == data.schema
    whole = pf.data.joint(data)
    pf.data.write(again, whole.x, space=Euclidean(), schema=whole.schema)
    found = pf.data.load(again, like=data)
    assert found.fingerprint == data.fingerprint
    assert str(data).endswith("4 vectors of 1, given city, code")


@pytest.mark.parametrize(
    "source",
    [FRAME, FRAME.to_dict("list"), FRAME.to_dict("records")],
    ids=["frame", "dictionary", "records"],
)
def test_words_in_memory(source) -> None:
    data = pf.data.load(source, given=["city"], columns=["city", "y"])
    assert data.c.tolist() == ONE_HOT


def test_other_rows_have_the_words_of_training(tmp_path: Path) -> None:
    data = pf.data.load(FRAME[["city", "y"]], given="city")
    few = pf.data.load(pandas.DataFrame([("São Paulo", 1.0)], columns=["city", "y"]), like=data)
    assert few.c.tolist() == [[0, 0, 1]]
    lima = pandas.DataFrame([("Lima", 1.0)], columns=["city", "y"])
    with pytest.raises(InputError, match="'city': 'Lima' is none of Oslo, Rome, São Paulo"):
        pf.data.load(lima, like=data)
    # A whole table for a schema of a whole one.
    whole = pf.data.joint(data)
    assert torch.equal(pf.data.load(FRAME, like=whole).x, whole.x)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["Rome", "3"], "'Rome' is not a number"),
        (["1,5", "2,5"], "read it as 1.5 with decimal=','"),
        (["2024-01-02", "2024-01-03"], "read dates as days with since="),
        ([f"name {k}" for k in range(MOST_WORDS + 1)], "1001 different words, such as 'name 0'"),
    ],
)
def test_what_is_no_column_of_words(tmp_path: Path, cells: list[str], message: str) -> None:
    path = tmp_path / "t.csv"
    pandas.DataFrame({"city": cells, "y": range(len(cells))}).to_csv(path, index=False)
    with pytest.raises(InputError, match=message):
        pf.data.load(path, given="city")


def test_missing_words_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("city,y\nRome,1\n?,2\nOslo,3\n,4\n")
    with pytest.raises(InputError, match=r"line 3, column 'city'.*; 2 of 4 rows"):
        pf.data.load(path, given="city", missing="?")
    data = pf.data.load(path, given="city", missing="?", drop_nonfinite=True)
    assert data.c.tolist() == [[0, 1], [1, 0]]
    assert data.dropped == 2


def test_words_that_are_not_given_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'Rome' is not a number: .* given='city', or"):
        pf.data.load(FRAME[["city", "y"]])
