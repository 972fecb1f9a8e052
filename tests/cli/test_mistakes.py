"""Mistakes of the user: one line that says what to do, a code for scripts, no traceback."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
import torch

from forked import Server

MISTAKES = {
    "no data": (["train"], "no data: pushforward train DATA"),
    "no folder": (["train", "digits"], "give one with --out"),
    "unknown data": (["train", "digitz", "--out", "OUT"], "did you mean 'digits'"),
    "missing file": (["train", "nothing.csv", "--out", "OUT"], "nothing.csv does not exist"),
    "two sources": (["train", "digits", "two_moons", "--out", "OUT"], "one data source, not 2"),
    "unknown key": (["train", "digits", "train.stepz=3", "--out", "OUT"], "did you mean 'steps'"),
    "unknown load": (["train", "digits", "data.lable=x", "--out", "OUT"], "did you mean 'label'"),
    "value": (
        ["train", "digits", "--lr=-1", "--out", "OUT"],
        "lr is a positive finite number, not -1.0",
    ),
    "schedule": (
        ["train", "two_moons", "model.process.schedule=cosin", "--out", "OUT"],
        "mean 'cosine'",
    ),
    "recipe": (["train", "--recipe", "none.yaml", "--out", "OUT"], "none.yaml cannot be read"),
    "no run": (["sample", "nowhere"], "there is no folder nowhere"),
    "format": (
        ["sample", "RUN", "--out", "x.pt"],
        ".fna, .faa, .xyz, .sdf, .png files, or as pictures to a folder, not 'x.pt'",
    ),
    "sampler": (["sample", "RUN", "--sampler", "hein"], "did you mean 'heun'"),
    "count": (["sample", "RUN", "-n", "0"], "n is a whole number of at least 1, not 0"),
    "class": (["sample", "RUN", "--class", "7"], "--class is one of rose, tulip, not '7'"),
    "class name": (["sample", "RUN", "--class", "rosa"], "one of rose, tulip, not 'rosa'"),
    "model": (["train", "digits", "--model", "flo", "--out", "OUT"], "did you mean 'flow'"),
    "old key": (["train", "digits", "network=mlp", "--out", "OUT"], "unknown key 'network'"),
    "evaluate": (["evaluate", "nowhere"], "there is no folder nowhere"),
    "too few": (["evaluate", "RUN", "-n", "10"], "needs 20 samples and held-out points, not 10"),
    "axis": (["list", "sampler"], "samplers"),
    "other columns": (["logprob", "RUN", "two_moons", "--steps", "3"], "even number of steps"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_one_line_and_code_two(call, trained: Path, tmp_path: Path, monkeypatch, mistake) -> None:
    monkeypatch.chdir(tmp_path)
    words, message = MISTAKES[mistake]
    result = call(*[{"OUT": str(tmp_path / "out"), "RUN": str(trained)}.get(w, w) for w in words])
    assert result.code == 2
    assert message in result.err
    assert "Traceback" not in result.err
    lines = result.err.strip().splitlines()
    assert len([line for line in lines if not line.startswith("note: ")]) == 1
    assert not (tmp_path / "out").exists()


def test_usage_errors_have_the_same_code(call) -> None:
    for words in (["trian"], ["train", "digits", "--lr", "abc"], ["sample"]):
        result = call(*words)
        assert result.code == 2
        assert "Traceback" not in result.err


def test_a_folder_in_use_is_left_alone(call, trained: Path, flowers: Path) -> None:
    before = {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}
    result = call("train", flowers, "--label", "species", "--out", trained, "--steps", 5)
    assert result.code == 2
    assert "is not empty" in result.err
    assert "--resume" in result.err
    assert before == {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}


def test_training_that_diverges_has_a_code_of_its_own(call, tmp_path: Path) -> None:
    import numpy as np

    rows = torch.randn(64, 2, generator=torch.Generator().manual_seed(0)) * 1e30
    np.save(tmp_path / "huge.npy", rows.numpy())
    words = ["train", tmp_path / "huge.npy", "--out", tmp_path / "run", "--steps", 5]
    result = call(*words, "--no-standardize")
    assert result.code == 3
    assert "diverged" in result.err


def test_debug_shows_where(forked: Server) -> None:
    done = forked.run("-m", "pushforward", "--debug", "sample", "nowhere")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_an_interrupt_saves_and_says_how_to_go_on(
    forked: Server, flowers: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    words = ["-m", "pushforward", "train", flowers, "--label", "species", "--out", out]
    child = forked.start(*words, "--steps", 100_000, "train.log_every=1")
    log = out / "metrics.jsonl"
    deadline = time.monotonic() + 60
    while not (log.is_file() and log.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate()
    assert child.returncode == 130
    assert "go on with --resume" in err
    assert (out / "checkpoints" / "latest").is_file()
