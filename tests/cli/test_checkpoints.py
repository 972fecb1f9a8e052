"""Which weights of a run the commands take, and what `train` says of them."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest
import torch

import pushforward as pf
from pushforward.cli.app import app, command_of
from pushforward.report import write
from pushforward.report.writing import _curves


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    """Fifty rows, which a network learns by heart in no time."""
    x = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    path = tmp_path_factory.mktemp("data") / "few.csv"
    path.write_text("a,b\n" + "\n".join(f"{a:.4f},{b:.4f}" for a, b in x.tolist()) + "\n")
    return path


@pytest.fixture(scope="module")
def learned_by_heart(table: Path, tmp_path_factory) -> Path:
    """A run that validates best early, and is far beyond that at its end."""
    out = tmp_path_factory.mktemp("runs") / "few"
    model = pf.NormalizingFlow.for_data(pf.data.load(table), width=32, layers=2)
    settings = {"steps": 200, "lr": 1e-2, "holdout": 0.4, "checkpoint_every": 40, "ema": 0.9}
    settings |= {"validate_every": 10, "patience": 0, "progress": False}
    run = pf.fit(model, pf.data.load(table), out=out, **settings)
    assert run.best["step"] < 100
    return out


def test_every_command_that_reads_a_run_takes_a_checkpoint() -> None:
    for command in ("sample", "evaluate", "logprob", "compare", "translate", "compress"):
        assert "checkpoint" in {p.name for p in command_of([command]).params}, command
    readers = {
        command.callback.__name__
        for command in app.registered_commands
        if "pushforward.models import load" in inspect.getsource(command.callback)
    }
    for command in readers:
        assert "checkpoint" in {p.name for p in command_of([command]).params}, command
    assert "decompress" in readers


def test_commands_take_the_best_unless_told_otherwise(
    call, learned_by_heart: Path, tmp_path: Path
) -> None:
    run = learned_by_heart
    best = pf.load(run).holds

    def drawn(*words: object) -> str:
        out = tmp_path / "x.csv"
        assert call("sample", run, "-n", 3, "--out", out, *words).code == 0
        return out.read_text()

    assert drawn() == drawn("--checkpoint", "best") == drawn("--checkpoint", best.step)
    assert drawn() != drawn("--checkpoint", "last")
    wrong = call("sample", run, "--out", tmp_path / "y.csv", "--checkpoint", 7)
    assert wrong.code == 2
    assert "no checkpoint '7': choose last, best, or one of the steps" in wrong.err
    found = json.loads(call("info", run, "--json").out)
    assert found["weights"] == f"those of step {best.step} of 200, which validated best"


def test_the_evaluation_and_the_report_say_which_weights(call, learned_by_heart: Path) -> None:
    run = learned_by_heart
    best = pf.load(run).holds
    for words, kind, step in (((), "best", best.step), (("--checkpoint", "last"), "last", 200)):
        result = call("evaluate", run, "-n", 20, *words)
        assert result.code == 0, result.err
        assert f"weights: those of {'the last step, 200' if step == 200 else 'step'}" in result.out
        assert ("They were chosen by the held-out rows" in result.out) == (kind == "best")
        found = json.loads((run / "evaluation.json").read_text())["weights"]
        assert (found["kind"], found["step"]) == (kind, step)
        page = (run / "report.html").read_text()
        assert f"<b>of step {step:,}" in page
        assert ("were chosen by the held-out rows" in page) == (kind == "best")
        assert f"The validation loss rose after step {best.step}, by" in page


def test_train_tells_overfitting_and_its_end(call, table: Path, tmp_path: Path) -> None:
    words = ["train", table, "--model", "flow", "--out", tmp_path / "run", "--steps", 200]
    words += ["--lr", 0.01, "model.width=32", "model.layers=2", "train.holdout=0.4"]
    words += ["train.validate_every=10", "train.ema=0.9"]
    result = call(*words, "--patience", 4)
    assert result.code == 0, result.err
    assert "! Training ended early, at step" in result.err
    assert "It goes on with --resume and --patience 0" in result.err
    assert "! The validation loss rose after step" in result.err
    assert "which validated best" in result.err
    step = pf.load(tmp_path / "run", checkpoint="last").holds.step
    assert step < 200
    on = call("train", "--resume", "--out", tmp_path / "run", "--patience", 0)
    assert on.code == 0, on.err
    assert pf.load(tmp_path / "run", checkpoint="last").holds.step == 200


def test_each_family_says_what_its_loss_is(learned_by_heart: Path, table: Path) -> None:
    """A likelihood has no noise that nothing can predict, as the report said of every loss."""
    data = pf.data.load(table)
    page = write(learned_by_heart, pf.load(learned_by_heart), data).read_text()
    assert "negative log-likelihood, in nats" in page
    assert "predict" not in page.partition("<h2>Training")[2].partition("<h2>")[0]
    history = [{"step": 1, "loss": 1.0}, {"step": 2, "loss": 0.5}]
    kinds = ("Diffusion", "FlowMatching", "VAE", "GAN", "EnergyModel", "ScoreModel")
    notes = {name: _curves(history, getattr(pf, name).for_data(data)) for name in kinds}
    assert "noise that nothing can predict" in notes["Diffusion"]
    assert "lower bound" in notes["VAE"]
    assert "does not measure quality" in notes["GAN"]
    assert len(set(notes.values())) >= 5
    assert all(getattr(pf, name).for_data(data).loss_meaning for name in kinds)
    assert "validation" not in notes["Diffusion"]
