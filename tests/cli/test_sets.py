"""Sets of points on the command line: a table of points comes in, and goes out."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from pushforward.cli import main

SMALL = ("model.net.class=set-transformer", "model.net.width=8", "model.net.depth=1",
         "model.net.heads=2")  # fmt: skip
HEADER = ["plot", "x", "y", "species", "height"]


def _call(*words: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    return int(stop.value.code or 0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a table of plots, of which some have no trees."""
    folder, g = tmp_path_factory.mktemp("sets"), np.random.default_rng(0)
    with (folder / "trees.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(HEADER)
        for plot in range(120):
            number = int(g.choice(4))
            if number == 0:
                out.writerow([plot, "", "", "", ""])
            for x, y in g.uniform(size=(number, 2)):
                kind = "oak" if x < 0.5 else "beech"
                out.writerow([plot, f"{x:.3f}", f"{y:.3f}", kind, int(g.integers(5, 40))])
    words = ("--space", "points", "--id", "plot", "--steps", 12, "--batch-size", 32, *SMALL)
    assert not _call("--quiet", "train", folder / "trees.csv", *words, "--out", folder / "run")
    return folder / "run"


def test_samples_have_the_columns_of_the_data(run: Path) -> None:
    out = run.parent / "new.csv"
    assert not _call("--quiet", "sample", run, "-n", 40, "--out", out, "--seed", 0, "--steps", 6)
    with out.open() as file:
        head, *rows = csv.reader(file)
    assert head == HEADER
    assert {row[0] for row in rows} == {str(k) for k in range(40)}
    points = [row for row in rows if row[1]]
    assert {row[3] for row in points} <= {"oak", "beech"}
    # Whole numbers and three digits, as in the data.
    assert all(row[4].lstrip("-").isdigit() for row in points)
    assert all(len(row[1].partition(".")[2]) <= 3 for row in points)
    empty = [row for row in rows if not row[1]]
    assert all(row[1:] == ["", "", "", ""] for row in empty)


def test_a_run_is_judged_and_shown(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (run / "report.html").read_text()
    assert "Point sets" in page
    assert "colored by species" in page
    assert page.count("<svg") >= 2
    assert not _call("--quiet", "logprob", run, run.parent / "trees.csv", "-n", 5, "--json")
    assert "bound" in capsys.readouterr().out


def test_sets_that_the_model_does_not_know_are_refused(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = run.parent / "other.csv"
    other.write_text("plot,x,y,species,height\n1,.5,.5,birch,3\n")
    assert _call("logprob", run, other)
    assert "no species 'birch'" in capsys.readouterr().err


def test_lists_of_points_come_in_and_go_out(run: Path) -> None:
    """Arrays of all points with the lengths of the sets, and words as marks."""
    g = np.random.default_rng(0)
    lengths = g.integers(0, 4, 60)
    x, kinds = g.normal(size=(lengths.sum(), 2)), g.choice(["oak", "beech"], lengths.sum())
    np.savez(run.parent / "lists.npz", x=x, lengths=lengths, kinds=kinds)
    words = ("--space", "points", "--steps", 2, "--batch-size", 8, *SMALL)
    folder, out = run.parent / "lists", run.parent / "back.npz"
    assert not _call("--quiet", "train", run.parent / "lists.npz", *words, "--out", folder)
    assert not _call("--quiet", "sample", folder, "-n", 9, "--out", out, "--steps", 3)
    with np.load(out) as found:
        assert len(found["lengths"]) == 9
        assert found["x"].shape == (found["lengths"].sum(), 2)
        assert set(found["kinds"].flatten().tolist()) <= {"oak", "beech"}
    # Of a run on a table, too, with the names of its columns.
    assert not _call("--quiet", "sample", run, "-n", 9, "--out", out, "--steps", 3)
    with np.load(out) as found:
        assert found["names"].tolist() == ["x", "y", "height"]


def test_a_set_is_told_something(run: Path) -> None:
    """The size is inferred from what is given, and that is written as it was."""
    told, words = run.parent / "told", ("--id", "plot", "--given", "area", "--steps", 3, *SMALL)
    table = run.parent / "areas.csv"
    table.write_text("plot,x,area\n" + "".join(
        f"{k},{n / 4},{1 + k % 3}\n" for k in range(60) for n in range(1 + k % 3)
    ))  # fmt: skip
    assert not _call("--quiet", "train", table, *words, "--batch-size", 8, "--out", told)
    out = run.parent / "told.csv"
    assert not _call("--quiet", "sample", told, "-n", 9, "--given", "area=2", "--out", out)
    with out.open() as file:
        head, *rows = csv.reader(file)
    assert head == ["plot", "x", "area"]
    assert {row[2] for row in rows} == {"2"}
