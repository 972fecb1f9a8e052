"""Tables with columns of all kinds, from the command line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from tests.data.test_mixed_tables import people, saved

from pushforward.cli import main


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(people(240), tmp_path_factory.mktemp("tables") / "people.csv")


@pytest.fixture(scope="module")
def run(table: Path) -> Path:
    folder = table.parent / "run"
    words = ["--quiet", "train", table, "--out", folder, "--steps", 3, "train.batch_size=32"]
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    assert end.value.code == 0
    return folder


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def check_types(rows: list[dict[str, str]]) -> None:
    """Each cell is one that the data could have."""
    assert list(rows[0]) == list(people(2))
    for row in rows:
        assert row["city"] in ("Bonn", "Oslo, N", "Rome")
        assert row["member"] in ("yes", "no")
        assert row["kids"] in map(str, range(5))
        assert row["age"] == "" or len(row["age"].partition(".")[2]) == 1
        assert len(row["income"].partition(".")[2]) == 2
        assert str(int(row["steps"])) == row["steps"]
        day, month, year = row["joined"].split(".")
        assert (len(day), len(month)) == (2, 2)
        assert year in ("2020", "2021", "2022")


def test_the_doctor_says_the_kinds(call, table: Path) -> None:
    found = call("doctor", table).out
    for line in ("age: number, may be missing", "joined: date %d.%m.%Y", "city: category of 3"):
        assert line in found
    changed = call("doctor", table, "data.kinds.kids=category")
    assert "kids: category of 5" in changed.out


def test_samples_have_the_columns_of_the_data(call, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "new.csv"
    assert call("sample", run, "-n", 40, "--steps", 5, "--out", out).code == 0
    check_types(read(out))
    assert len(read(out)) == 40


def test_a_table_is_written_where_no_file_is_named(call, run: Path, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = call("sample", run, "-n", 4, "--steps", 4)
    assert (done.code, done.out.strip()) == (0, "samples.csv")
    assert len((tmp_path / "samples.csv").read_text().splitlines()) == 5


def test_given_cells_stay_and_gaps_are_filled(call, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "given.csv"
    words = ("--steps", 5, "--out", out)
    assert call("sample", run, "-n", 7, "--given", "city=Rome,age=41.5", *words).code == 0
    check_types(read(out))
    assert {(row["city"], row["age"]) for row in read(out)} == {("Rome", "41.5")}
    part = tmp_path / "part.csv"
    part.write_text("age,city\n40.5,\n,Bonn\n")
    assert call("sample", run, "-n", 2, "--given", part, *words).code == 0
    rows = read(out)
    assert [row["age"] for row in rows[:2]] == ["40.5"] * 2
    assert [row["city"] for row in rows[2:]] == ["Bonn"] * 2
    # What is drawn in a gap is never missing.
    assert all(row["age"] for row in rows)
    assert call("sample", run, "--given-file", part, *words).code == 0
    assert len(read(out)) == 2
    found = call("sample", run, "--given-file", part, *words, "--grid", "uniform")
    assert "--grid means nothing for the cells of a table" in found.err


def test_several_given_cells_are_all_kept(call, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "given.csv"
    words = ["--steps", 4, "--out", out]
    found = call("sample", run, "-n", 9, "--given", "city=Oslo, N", "--given", "kids=2", *words)
    assert found.code == 0
    assert {(row["city"], row["kids"]) for row in read(out)} == {("Oslo, N", "2")}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("city=Lima", "'Lima' was not in the data"),
        ("age=400", "lies beyond what the model was trained on"),
        ("town=Rome", "the model knows no column 'town'"),
        ("city", "does not say NAME=VALUE"),
        ("city=Rome,city=Bonn", "twice"),
    ],
)
def test_what_the_model_does_not_know_is_refused(call, run: Path, given: str, said: str) -> None:
    result = call("sample", run, "--given", given)
    assert result.code == 2
    assert said in result.err


def test_kinds_that_do_not_fit_are_refused(call, table: Path, tmp_path: Path) -> None:
    result = call("train", table, "--out", tmp_path / "r", "data.kinds.city=count")
    assert result.code == 2
    assert "is to be count, but" in result.err
    result = call("train", table, "--model", "kde", "--out", tmp_path / "r", "data.kinds=auto")
    assert result.code == 2
    assert "data.kinds are for models of tables" in result.err


def test_bounds_and_comparisons(call, run: Path, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "lp.csv"
    assert call("logprob", run, table, "--steps", 4, "--out", out).code == 0
    assert len(read(out)) == 240
    other = saved(people(150, seed=5), tmp_path / "other.csv")
    options = ("--permutations", 99, "--max-points", 60, "--json")
    result = call("compare-samples", table, other, *options)
    assert result.code == 0, result.err
    found = json.loads(result.out)
    assert {"city", "age", "age missing"} <= {column["name"] for column in found["columns"]}
