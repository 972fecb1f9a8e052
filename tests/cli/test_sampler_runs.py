"""Learned samplers on the command line: trained on a density, drawn from, estimated with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pushforward.cli import main

SMALL = (
    "model.steps=6", "model.width=8", "model.depth=1", "model.coordinates=none", "model.buffer=64",
)  # fmt: skip
SHORT = ("--steps", 2, "--batch-size", 8, "train.schedule=constant")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "student"
    words = ("train", "student", "--model", "sampler", "model.options.dim=2", *SMALL, *SHORT)
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in (*words, "--out", folder)])
    assert not end.value.code
    return folder


def _refused(found) -> str:
    assert found.code
    return found.err


def test_a_run_estimates_log_z(call, run) -> None:
    found = json.loads(call("logz", run, "--particles", 500, "--json").out)
    keys = {"value", "stderr", "lower", "upper", "method", "ess", "converged", "elbo", "eubo"}
    assert keys <= set(found)
    assert found["target"] == "student"
    assert found["lower"] <= found["value"] <= found["upper"]
    assert abs(found["value"]) < 4 * found["stderr"] + 0.01
    text = call("logz", run, "--particles", 500, "--steps", 12).out
    assert "ELBO" in text
    assert "known: 0.0000" in text


def test_a_run_is_drawn_from(call, run, tmp_path) -> None:
    call("sample", run, "-n", 5, "--out", tmp_path / "new.csv")
    rows = (tmp_path / "new.csv").read_text().splitlines()
    assert rows[0] == "x0,x1"
    assert len(rows) == 6


def test_a_run_leaves_a_report(run) -> None:
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "EUBO" in page
    assert "entropic" not in page
    assert "run `pushforward evaluate`" not in page


def test_a_run_goes_on(call, run) -> None:
    call("train", "--resume", "--out", run, "train.steps=3")
    lines = (run / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["step"] == 3


def test_there_are_no_data_to_compare_with(call, run) -> None:
    assert "samples the density student" in _refused(call("evaluate", run))


@pytest.fixture
def module(tmp_path: Path, monkeypatch) -> str:
    (tmp_path / "density_of_mine.py").write_text(
        "from pushforward.targets import Target\n"
        "def log_p(x):\n"
        "    return -x.square().sum(-1) / 2\n"
        "def made():\n"
        "    return Target(log_p, 2, names=('a', 'b'), name='mine')\n"
        "ready = made()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return "density_of_mine"


def test_a_function_of_ones_own(call, module) -> None:
    trust = ("--trust", module)
    words = ("train", f"{module}:made", "--model", "sampler", *SMALL, *SHORT, *trust)
    call(*words, "--out", "runs/mine")
    call("sample", "runs/mine", "-n", 3, "--out", "new.csv", *trust)
    assert Path("new.csv").read_text().startswith("a,b\n")
    assert "trust" in _refused(call("sample", "runs/mine", "-n", 3, "--out", "other.csv"))


def test_mistakes_are_told(call, module, run) -> None:
    words = ("--model", "sampler", "--out", "runs/none")
    assert "--trust" in _refused(call("train", f"{module}:log_p", *words))
    assert "has no function 'ready'" in _refused(
        call("train", f"{module}:ready", *words, "--trust", module)
    )
    assert "no target is called 'funel'" in _refused(call("train", "funel", *words))
    assert "no option 'stepz'" in _refused(call("train", "funnel", *words, "model.stepz=3"))
    assert "no data.n" in _refused(call("train", "funnel", *words, "data.n=3"))
    assert "--steps are those of a learned sampler" in _refused(
        call("logz", "student", "--steps", 3)
    )
    assert "has its method" in _refused(call("logz", run, "--method", "ais"))
