"""`pushforward compare-samples`: two files, one verdict, in the words of the command line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch


def written(path: Path, shift: float, seed: int, columns: tuple[str, ...]) -> Path:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(60, 2, generator=generator)
    known = {"height": 170 + 8 * values[:, 0], "width": 5 + values[:, 1] + shift}
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow([*columns, "kind"])
        for k in range(60):
            out.writerow([*(f"{float(known[c][k]):.4f}" for c in columns), ("ant", "bee")[k % 2]])
    return path


FEW = ("--permutations", 99)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pairs")
    return [
        written(folder / "old.csv", 0.0, 0, ("height", "width")),
        written(folder / "new.csv", 2.0, 1, ("width", "height")),
        written(folder / "again.csv", 0.0, 2, ("height", "width")),
    ]


def test_columns_of_words_are_taken_along(call, files) -> None:
    result = call("compare-samples", *files[:2], "data.given=kind", "--json", *FEW)
    found = json.loads(result.out)
    (kind,) = (column for column in found["columns"] if column["name"] == "kind")
    assert kind["first"] is None
    assert kind["size"] == 0
    assert found["distances"]["KL(old || new)"]["method"] == "classifier"


def test_files_that_differ(call, files) -> None:
    result = call("compare-samples", *files[:2], "--label", "kind", *FEW)
    assert result.code == 0
    verdict, _, head, *rest = result.out.splitlines()
    assert verdict.startswith("old and new differ (p = 0.0")
    assert verdict.endswith("the most first: width.")
    assert head.split() == ["distance", "value", "floor", "how"]
    assert any(line.startswith("kind ") and "kinds" in line for line in rest)
    (width,) = (line.split() for line in rest if line.startswith("width "))
    assert float(width[-1]) - float(width[-2]) == pytest.approx(2, abs=0.6)


def test_files_that_do_not_differ_as_json(call, files) -> None:
    words = ("data.columns=height,width", "--json", *FEW)
    result = call("compare-samples", files[0], files[2], *words)
    found = json.loads(result.out)
    assert found["differ"] is False
    assert found["p_value"] > found["level"] == 0.05
    assert found["verdict"].startswith("No difference that 60 and 60 rows can see")
    assert {column["name"] for column in found["columns"]} == {"height", "width"}
    assert found["distances"]["energy distance"]["floor"] is not None


def test_mistakes_are_told_in_the_words_of_the_command(call, files, tmp_path: Path) -> None:
    result = call("compare-samples", *files[:2], "--label", "kind", "--permutations", 9)
    assert result.code == 2
    assert "--permutations 9: no p-value of so few" in result.err
    result = call("compare-samples", *files[:2], "data.colums=height")
    assert "data.columns" in result.err
    other = tmp_path / "other.csv"
    other.write_text("\n".join(["mass", *(str(k) for k in range(40))]))
    result = call("compare-samples", files[0], other, "data.columns=height")
    assert result.code == 2


def test_a_run_is_compared_by_what_it_draws(call, files, tmp_path: Path) -> None:
    run = tmp_path / "run"
    columns = "data.columns=height,width"
    made = call("train", files[0], columns, "--model", "ppca", "--out", run)
    assert made.code == 0
    result = call("compare-samples", run, files[1], "--json", *FEW)
    found = json.loads(result.out)
    assert found["names"] == ["run", "new"]
    assert found["rows"] == [60, 60]
    assert found["columns"][0]["name"] == "width"
    own = json.loads(call("compare-samples", files[0], run, "--json", *FEW).out)
    assert not own["differ"]
    assert any("is what run was trained on" in note for note in own["notes"])
