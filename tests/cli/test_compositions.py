"""`train --space simplex` on a table of parts, and samples with the same sums."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.distributions import DirichletMixture
from pushforward.spaces.coordinates.proportions import rounded_parts

SHORT = ("--steps", 6, "--batch-size", 32, "train.warmup=0")


def _soils(path: Path) -> Path:
    """Percent to one decimal, with a zero, and a column that is no part."""
    truth = DirichletMixture(torch.tensor([[12.0, 3.0, 3.0], [2.0, 8.0, 6.0]]))
    parts = rounded_parts(truth.sample(200, seed=0), 1000).numpy() / 10
    parts[7] = [60.0, 40.0, 0.0]
    rows = np.concatenate([parts, np.linspace(0, 9, 200)[:, None]], 1)
    np.savetxt(path, rows, "%.1f", ",", header="sand,silt,clay,depth", comments="")
    return path


def _sums(path: Path) -> set[Decimal]:
    with path.open(newline="") as file:
        return {sum(map(Decimal, row[:3])) for row in list(csv.reader(file))[1:]}


@pytest.mark.parametrize(
    ("words", "process", "said"),
    [
        (("--space", "simplex"), "Gaussian", "1 zero replaced"),
        (("--space", "simplex", "--model", "matching"), "Geodesic", "in percent;"),
        (("model.process.class=wright-fisher",), "WrightFisher", "in percent;"),
    ],
)
def test_parts_are_learned_and_drawn_with_their_sum(
    call, tmp_path: Path, words, process: str, said: str
) -> None:
    soils, run = _soils(tmp_path / "soils.csv"), tmp_path / "run"
    done = call("train", soils, *words, "data.columns=sand,silt,clay", "--out", run, *SHORT)
    assert done.code == 0, done.err
    assert said in done.err
    assert "follow from others" not in done.err
    made = pf.load(run)
    assert type(getattr(made, "process", None) or made.path).__name__ == process
    out = tmp_path / "new.csv"
    assert call("sample", run, "-n", 40, "--out", out, "--steps", 4).code == 0
    assert _sums(out) == {Decimal("100.0")}
    assert out.read_text().startswith("sand,silt,clay\n")
    # Samples are read as the data were, and have densities.
    assert call("logprob", run, out, "--out", tmp_path / "density.csv").code == 0
    if process == "Geodesic":
        found = call("logprob", run, soils, "-n", 12, "--steps", 4)
        assert "1 of 12 log-densities are infinite, of row 7: " in found.out
        assert "replace zeros" in found.out
        facts = json.loads(call("logprob", run, soils, "-n", 12, "--steps", 4, "--json").out)
        rest = [row["log_prob"] for row in facts["rows"] if row["row"] != 7]
        assert facts["infinite"].endswith(f"the mean of the others is {np.mean(rest):.4f}")


def test_parts_given_another_column(call, tmp_path: Path) -> None:
    soils, run = _soils(tmp_path / "soils.csv"), tmp_path / "run"
    words = ("--space", "simplex", "--given", "depth", "--out", run)
    done = call("train", soils, *words, *SHORT)
    assert done.code == 0, done.err
    out = tmp_path / "new.csv"
    assert call("sample", run, "--given", "depth=3", "-n", 20, "--out", out, "--steps", 4).code == 0
    assert _sums(out) == {Decimal("100.0")}


def test_rows_that_do_not_sum_are_an_error_of_the_command(call, tmp_path: Path) -> None:
    done = call("train", _soils(tmp_path / "soils.csv"), "--space", "simplex", "--out", "run")
    assert done.code == 2
    assert "Traceback" not in done.err
    assert "columns=" in done.err
