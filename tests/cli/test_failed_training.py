"""A collapsed or diverged training is reported as such, in the terminal and on its page."""

from __future__ import annotations

import re
from pathlib import Path

import torch

import pushforward as pf
from pushforward.report import write


def _page(run: Path) -> str:
    return (run / "report.html").read_text(encoding="utf-8")


def test_a_collapsed_generator_is_no_success(call, tmp_path: Path) -> None:
    """A critic that learns a thousand times too slowly: all samples go where it is largest."""
    options = ["width=32", "depth=2", "regularizer=null", "critic_steps=1", "critic_rate=0.001"]
    settings = ["--steps", 150, "--lr", 0.01, "--batch-size", 64, "--out", tmp_path / "run"]
    words = ["-q", "train", "8gaussians", "--model", "gan", *settings]
    result = call(*words, *(f"model.{option}" for option in options))
    assert result.code == 0
    assert re.search(r"! The samples have \d% of the data.s variance", result.err)
    page = _page(tmp_path / "run")
    assert '<span class="status bad">finished, with warnings</span>' in page
    assert "the generator has collapsed" in page
    assert "For this model the loss does not measure quality" in page


def test_a_critic_that_has_won_is_no_success(call, tmp_path: Path) -> None:
    """A critic that learns a hundred times faster than a generator that is told the labels."""
    options = ["width=32", "depth=2", "critic_rate=100", "regularizer=null"]
    settings = ["--steps", 100, "--lr", 1e-4, "--batch-size", 64, "--out", tmp_path / "run"]
    words = ["-q", "train", "8gaussians", "data.label=true", "--model", "gan", *settings]
    result = call(*words, *(f"model.{option}" for option in options))
    assert result.code == 0
    assert "! The critic ranks data above samples in" in result.err
    page = _page(tmp_path / "run")
    assert '<span class="status bad">finished, with warnings</span>' in page
    assert "The critic ranks data above samples in" in page


def test_an_energy_that_has_run_away_is_no_success(tmp_path: Path) -> None:
    """An energy that unadjusted chains have made too steep for any chains."""
    torch.manual_seed(0)
    data = pf.data.load("two_moons", n=500)
    training = pf.energy_training.ContrastiveDivergence(2, "ula")
    model = pf.EnergyModel(pf.nn.Perceptron(2, 1, width=32, depth=2), training)
    run = tmp_path / "run"
    pf.fit(model, data, steps=60, lr=1.0, out=run, progress=False)
    samples = torch.zeros(20, 2)
    text = write(run, model, data, samples=samples).read_text(encoding="utf-8")
    assert '<span class="status bad">finished, with warnings</span>' in text
    assert "the model&#x27;s distribution is not that of the data" in text


def test_a_loss_that_is_not_finite_ends_training(call, tmp_path: Path) -> None:
    settings = ["--steps", 50, "--lr", 1e30, "--out", tmp_path / "run", "train.clip=0"]
    result = call("-q", "train", "two_moons", "--model", "flow", *settings, "model.width=8")
    assert result.code == 3
    page = _page(tmp_path / "run")
    assert '<span class="status bad">diverged</span>' in page
    assert "Training diverged after step" in page


def test_a_model_of_labels_is_shown_with_labels(call, flowers: Path, tmp_path: Path) -> None:
    """A VAE that was made for labels draws nothing without."""
    settings = ["--steps", 3, "--out", tmp_path / "run", "model.width=8"]
    words = ["-q", "train", flowers, "--label", "species", "--model", "vae", *settings]
    assert call(*words).code == 0
    assert "Samples beside data" in _page(tmp_path / "run")
