"""How long `train` says that it will be, and what is left of it in the recipe."""

from __future__ import annotations

from dataclasses import replace

import yaml

from pushforward.training import fitting

WORDS = ("model.net=mlp", "data.n=200")


def test_what_was_chosen_is_said_printed_and_kept(call, monkeypatch, tmp_path) -> None:
    three = {"steps": 3, "budget": None}
    monkeypatch.setattr(fitting, "counted_out", lambda settings, *_: replace(settings, **three))
    printed = yaml.safe_load(call("train", "two_moons", "data.n=200", "--print-config").out)
    assert (printed["train"]["steps"], printed["train"]["batch_size"]) == (3000, 128)
    assert printed["train"]["validate_every"] == 150
    out = tmp_path / "run"
    found = call("train", "two_moons", *WORDS, "--batch-size", "8", "--budget", "2s", "--out", out)
    assert "2 s of batches of 8" in found.err
    kept = yaml.safe_load((out / "recipe.yaml").read_text())["train"]
    trained = yaml.safe_load((out / "config.yaml").read_text())["training"]
    assert kept["budget"] is None
    assert kept["steps"] == trained["steps"] == 3


def test_the_length_that_is_said_last_counts(call, tmp_path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("data: two_moons\ntrain: {steps: 40}\n")
    timed = yaml.safe_load(call("train", "--recipe", path, "--budget", "1m", "--print-config").out)
    assert (timed["train"]["steps"], timed["train"]["budget"]) == (None, 60.0)
    path.write_text("data: two_moons\ntrain: {budget: 5m}\n")
    counted = yaml.safe_load(call("train", "--recipe", path, "--steps", "7", "--print-config").out)
    assert (counted["train"]["steps"], counted["train"]["budget"]) == (7, None)
