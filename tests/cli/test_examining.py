"""What the doctor knows, and that `train` passes it on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tests.families import OF_NUMBERS

import pushforward as pf


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    """Numbers of three columns."""
    path = tmp_path_factory.mktemp("data") / "table.csv"
    rows = torch.randn(120, 3, generator=torch.Generator().manual_seed(0)).tolist()
    lines = [",".join(f"{value:.4f}" for value in row) for row in rows]
    path.write_text("\n".join(["height,width,mass", *lines]) + "\n")
    return path


@pytest.fixture(scope="module")
def counts(tmp_path_factory) -> Path:
    """An identifier in no order, ages in years, and a truth."""
    g = torch.Generator().manual_seed(0)
    path = tmp_path_factory.mktemp("data") / "counts.csv"
    ids, ages = torch.randperm(150, generator=g) + 1000, torch.randint(0, 60, (150,), generator=g)
    rows = [f"{i},{a},{int(a > 30)},{0.5 + a / 7:.3f}" for i, a in zip(ids, ages, strict=True)]
    path.write_text("\n".join(["id,age,smoker,dose", *rows]) + "\n")
    return path


@pytest.mark.parametrize("model", OF_NUMBERS)
def test_the_doctor_examines_every_kind_of_model(call, table: Path, model: str) -> None:
    source = ["--source", table] if model == "bridge" else []
    result = call("doctor", table, "--model", model, *source, "--json")
    assert result.code == 0, result.err
    titles = [finding["title"] for finding in json.loads(result.out)]
    assert "Few rows to judge by" in titles
    assert call("doctor", table, f"model.class={model}", *source).code == 0


def test_the_doctor_examines_a_source_too(call, table: Path, tmp_path: Path) -> None:
    head, *rows = table.read_text().splitlines()
    signs = [f"{row.rsplit(',', 1)[0]},{k % 2}" for k, row in enumerate(rows)]
    (tmp_path / "source.csv").write_text("\n".join([head, *signs]) + "\n")
    words = ["doctor", table, "--model", "matching", "--source", tmp_path / "source.csv"]
    assert "source: Features of few values" in call(*words).out


@pytest.mark.parametrize("quiet", [True, False])
def test_train_passes_on_what_the_doctor_knows(
    call, counts: Path, tmp_path: Path, quiet: bool
) -> None:
    words = ["-q"] if quiet else []
    run = tmp_path / "run"
    result = call(*words, "train", counts, "--model", "kde", "--out", run)
    assert result.code == 0
    said = [line for line in result.err.splitlines() if line.startswith("! ")]
    assert any(
        "A feature numbers the rows" in s and "column 'id'" in s and "data.columns=" in s
        for s in said
    )
    assert any("Features of few values. 1 of 4: column 'smoker' (2 values)" in s for s in said)
    assert any("Features of whole values. 1 of 4: column 'age' (0 to 59)" in line for line in said)
    kept = json.loads((run / "findings.json").read_text())
    assert [f"! {line}" for line in kept] == said[: len(kept)]
    assert "A feature numbers the rows" in (run / "report.html").read_text()
    # The next report has them too.
    from pushforward.report import write

    data = pf.data.load(counts)
    assert "A feature numbers the rows" in write(run, pf.load(run), data).read_text()


def test_densities_of_three_rows_are_not_taken_at_their_word(call, tmp_path: Path) -> None:
    (tmp_path / "three.csv").write_text("a,b\n0.1,0.2\n0.4,1.7\n-1.3,0.6\n")
    words = ["train", tmp_path / "three.csv", "--model", "kde", "--out", tmp_path / "run"]
    result = call("-q", *words)
    assert "! Too few rows for a density. 3 rows of 2 numbers each" in result.err


def test_healthy_data_are_trained_on_in_silence(call, tmp_path: Path) -> None:
    words = ["train", "two_moons", "--model", "kde", "--out", tmp_path / "run", "data.n=600"]
    assert call("-q", *words).err == ""


def test_a_prior_that_is_not_reached_is_said_by_train(call, tmp_path: Path) -> None:
    schedule = "model.process.schedule={class: ou, horizon: 1}"
    words = ["train", "two_moons", "--steps", 2, "--out", tmp_path / "run", schedule]
    assert "! The prior is not reached" in call("-q", *words).err
