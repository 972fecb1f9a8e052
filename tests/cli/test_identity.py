"""Columns are found by name and labels by value, whatever command reads the file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import pushforward as pf

N = 240


def rows() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "height": rng.normal(5, 1, N),
        "width": rng.normal(100, 10, N),
        "kind": rng.choice(["ant", "bee", "cow"], N, p=[0.5, 0.3, 0.2]),
        "extra": rng.normal(0, 1, N),
    }


def write(path: Path, names: list[str], keep: np.ndarray | None = None) -> Path:
    found = rows()
    columns = [found[name] if keep is None else found[name][keep] for name in names]
    lines = [",".join(map(str, line)) for line in zip(*columns, strict=True)]
    path.write_text("\n".join([",".join(names), *lines]) + "\n")
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("identity")


@pytest.fixture
def run(home: Path, call) -> Path:
    """Trained once, by the first test that asks for it."""
    if not (home / "run").exists():
        table = write(home / "train.csv", ["height", "width", "kind"])
        words = ("--label", "kind", "--model", "flow", "--steps", 30, "--out", home / "run")
        assert call("train", table, *words).code == 0
    return home / "run"


def densities(call, run: Path, file: Path, *more: object) -> list[float]:
    result = call("logprob", run, file, "--json", *more)
    assert result.code == 0, result.err
    return [row["log_prob"] for row in json.loads(result.out)["rows"]]


def test_log_densities_follow_the_names(call, run: Path, home: Path) -> None:
    exact = densities(call, run, home / "train.csv")
    swapped = write(home / "swapped.csv", ["width", "kind", "height"])
    assert densities(call, run, swapped) == pytest.approx(exact, rel=1e-6)
    wider = write(home / "wider.csv", ["extra", "width", "kind", "height"])
    result = call("logprob", run, wider, "--json")
    assert "left out 'extra', which the model does not know" in result.err
    assert [row["log_prob"] for row in json.loads(result.out)["rows"]] == pytest.approx(exact)
    other = write(home / "other.csv", ["height", "extra", "kind"])
    result = call("logprob", run, other)
    assert result.code == 2
    assert "no column 'width'" in result.err


def test_labels_keep_their_codes_where_a_class_is_missing(call, run: Path, home: Path) -> None:
    keep = rows()["kind"] != "ant"
    exact = np.array(densities(call, run, home / "train.csv"))[keep]
    some = write(home / "some.csv", ["height", "width", "kind"], keep)
    assert densities(call, run, some) == pytest.approx(list(exact), rel=1e-6)


def test_a_file_in_another_order_is_what_the_run_was_trained_on(
    call, run: Path, home: Path
) -> None:
    moved = write(home / "moved.csv", ["width", "kind", "height"])
    result = call("evaluate", run, "--data", moved, "-n", 20, "--points", 4)
    assert result.code == 0, result.err


def test_a_bridge_joins_columns_by_name(call, home: Path) -> None:
    target = write(home / "target.csv", ["height", "width"])
    outs = []
    for name, columns in (("same", ["height", "width"]), ("swapped", ["width", "height"])):
        source = write(home / f"{name}-source.csv", columns)
        out = home / f"{name}-bridge"
        words = ("--steps", 8, "--iterations", 2, "--batch-size", 16, "--out", out)
        assert call("bridge", "--source", source, "--target", target, *words).code == 0
        outs.append(pf.load(out))
    for a, b in zip(outs[0].parameters(), outs[1].parameters(), strict=True):
        assert torch.equal(a, b)
    odd = write(home / "odd.csv", ["height", "extra"])
    words = ("--target", target, "--steps", 8, "--iterations", 2, "--out", home / "odd")
    refused = call("bridge", "--source", odd, *words)
    assert refused.code == 2
    assert "no column 'width'" in refused.err
    # In words of the user's own, the columns stand for those of the target, in its order.
    chosen = call("bridge", "--source", odd, *words, "source.columns=[height, extra]")
    assert chosen.code == 0, chosen.err
    swapped = write(home / "to-translate.csv", ["width", "height"])
    found = []
    for name, file in (("a", target), ("b", swapped)):
        out = home / f"{name}.npz"
        assert call("translate", home / "same-bridge", file, "--out", out, "--seed", 1).code == 0
        found.append(np.load(out)["x"])
    assert np.allclose(*found)
