"""Every command on real input: what it prints, what it writes, how it ends."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pushforward as pf

RUN_FILES = {"checkpoints", "config.yaml", "manifest.json", "metrics.jsonl", "report.html"}

_DIGITS = 0.51e-4
"""Samples have the digits of the table that was learned, four after the point."""


def test_training_leaves_a_run_with_a_report(trained: Path) -> None:
    names = {entry.name for entry in trained.iterdir()}
    assert names >= RUN_FILES | {"recipe.yaml", "samples.png"}
    model = pf.load(trained)
    assert model.num_classes == 2
    assert model.event_shape == (2,)
    assert json.loads((trained / "manifest.json").read_text())["status"] == "finished"


def test_a_folder_of_pictures_needs_no_recipe(call, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for k in range(12):
        pixels = torch.randint(0, 256, (8, 8), dtype=torch.uint8, generator=generator)
        Image.fromarray(pixels.numpy()).save(folder / f"{k}.png")
    out = tmp_path / "run"
    result = call("train", folder, "--out", out, "--steps", 2, "--batch-size", 4)
    assert result.code == 0
    assert "12 images of 1 x 8 x 8" in result.err
    assert call("sample", out, "-n", 3, "--steps", 3, "--out", tmp_path / "new.png").code == 0
    with Image.open(tmp_path / "new.png") as picture:
        assert picture.size[0] > 24


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".csv"])
@pytest.mark.parametrize("label", ["rose", "tulip"])
def test_samples_go_to_files(call, trained: Path, tmp_path: Path, suffix: str, label) -> None:
    out = tmp_path / f"new{suffix}"
    words = ["sample", trained, "-n", 5, "--seed", 3, "--steps", 4, "--class", label, "--out", out]
    result = call(*words)
    assert result.code == 0
    assert result.out.strip() == str(out)
    exact = pf.load(trained).sample(5, int(label == "tulip"), steps=4, seed=3)
    if suffix == ".csv":
        with out.open() as file:
            header, *rows = csv.reader(file)
        assert header == ["height", "width", "species"]
        assert {row.pop() for row in rows} == {label}
        found = torch.tensor([[float(cell) for cell in row] for row in rows])
    elif suffix == ".npy":
        found = torch.as_tensor(np.load(out))
    else:
        with np.load(out) as arrays:
            found = torch.as_tensor(arrays["x"])
            assert arrays["species"].tolist() == [label] * 5
    assert torch.allclose(found, exact, rtol=0, atol=_DIGITS)


def test_the_end_of_the_path_is_reported(call, trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "new.npy"
    asked = ("sample", trained, "-n", 5, "--steps", 4, "--out", out, "--class", "tulip")
    assert "to t = 0.001, then denoised" in call(*asked).err
    early = call(*asked, "--stop", 0.2, "--no-denoise", "--grid", "uniform")
    assert "to t = 0.2 with its noise left" in early.err
    options = {"steps": 4, "stop": 0.2, "denoise": False, "grid": "uniform", "seed": 0}
    exact = pf.load(trained).sample(5, 1, **options)
    assert torch.allclose(torch.as_tensor(np.load(out)), exact, rtol=0, atol=_DIGITS)


def test_a_model_without_densities(call, tmp_path: Path) -> None:
    model = pf.ScoreModel(pf.nn.MLP(2, width=16), "denoising-levels")
    run = tmp_path / "run"
    pf.fit(model, pf.data.load("two_moons", n=400), out=run, steps=20, progress=False)
    out = tmp_path / "new.npy"
    assert call("sample", run, "-n", 5, "--steps", 30, "--out", out).code == 0
    assert np.load(out).shape == (5, 2)
    refused = call("sample", run, "--sampler", "ddim", "--out", out)
    assert refused.code == 2
    assert "--sampler means nothing to a ScoreModel" in refused.err
    found = json.loads(call("evaluate", run, "-n", 40, "--steps", 30, "--json").out)
    names = [row["name"] for row in found["rows"]]
    assert "sliced W2" in names
    assert "NLL" not in names
    assert "has no normalized density" in call("logprob", run, "two_moons").err


def test_a_learned_variance_has_a_bound(call, trained: Path, flowers: Path, tmp_path: Path) -> None:
    variance = pf.PosteriorVariance(pf.load(trained), pf.nn.MLP(2, width=8, num_classes=2))
    folder = variance.save(tmp_path / "variance")
    asked = ("logprob", folder, flowers, "--label", "species", "--steps", 5, "--stop", 0.01)
    result = call(*asked, "--json")
    assert "taken in the order rose, tulip" in result.err
    found = json.loads(result.out)
    assert found["kind"] == "bound"
    data = pf.data.load(flowers, label="species")
    exact = variance.log_prob(data.x, data.c, steps=5, stop=0.01, seed=0)
    assert found["mean"] == pytest.approx(float(exact.value.mean()), rel=1e-4)
    refused = call("logprob", folder, flowers, "--label", "species", "--probes", 3)
    assert "--probes means nothing to a PosteriorVariance" in refused.err


def test_evaluation(call, trained: Path) -> None:
    result = call("evaluate", trained, "-n", 60, "--steps", 5, "--json")
    assert result.code == 0
    found = json.loads(result.out)
    names = [row["name"] for row in found["rows"]]
    assert names[0] == "sliced W2"
    assert "NLL" in names
    assert found == json.loads((trained / "evaluation.json").read_text())
    page = (trained / "report.html").read_text()
    assert all(name in page for name in names)
    plain = call("evaluate", trained, "-n", 60, "--steps", 5)
    assert "sliced W2" in plain.out
    assert str(trained / "report.html") in plain.out


def test_log_densities(call, trained: Path, flowers: Path, tmp_path: Path) -> None:
    out = tmp_path / "densities.csv"
    result = call("logprob", trained, flowers, "--steps", 8, "--out", out, "--json")
    assert result.code == 0
    found = json.loads(result.out)
    data = pf.data.load(flowers, label="species")
    exact = pf.load(trained).log_prob(data.x, data.c, steps=8, batch_size=128)
    values = [row["log_prob"] for row in found["rows"]]
    assert values == pytest.approx(exact.value.tolist(), rel=1e-4)
    assert found["kind"] == "ode"
    assert out.read_text().splitlines()[0] == "row,log_prob,stderr"
    plain = call("logprob", trained, flowers, "--steps", 8)
    assert plain.out.startswith("LogProb(ode): mean")
    assert "density of the model at t = 0.001" in plain.out


def test_code_lengths_of_quantized_data(call, tmp_path: Path) -> None:
    torch.manual_seed(0)
    digits = pf.data.load("digits")
    model = pf.Diffusion(pf.nn.UNet(1, width=8), event_shape=(1, 8, 8))
    model.fit_units(digits.x)
    model.save(tmp_path / "model")
    asked = ("logprob", tmp_path / "model", "digits", "-n", 6, "--steps", 4, "--probes", 2)
    out = tmp_path / "densities.npz"
    result = call(*asked, "--bound", 5, "--stop", 0.01, "--json", "--out", out)
    assert result.code == 0, result.err
    found = json.loads(result.out)
    width = (digits.value_range[1] - digits.value_range[0]) / 16
    bits = -(found["mean"] + 64 * math.log(width)) / (64 * math.log(2))
    assert found["bits_per_dimension"]["value"] == pytest.approx(bits, rel=1e-5)
    assert "at t = 0.01" in found["about"]
    bound = model.variational_bound(digits.x[:6], steps=5, level=width, stop=0.01, seed=0)
    assert found["bound"]["total"] == pytest.approx(bound.total.mean().item(), rel=1e-4)
    parts = found["bound"]
    total = parts["prior"] + sum(parts["steps"]) + parts["reconstruction"]
    assert parts["total"] == pytest.approx(total, rel=1e-6)
    with np.load(out) as arrays:
        assert set(arrays) == {"row", "log_prob", "stderr", "bound"}
    plain = call(*asked, "--bound", 5)
    assert "bits per dimension (17 levels each)" in plain.out
    assert "VariationalBound" in plain.out


def test_info(call, trained: Path) -> None:
    result = call("info", trained, "--json")
    assert result.code == 0
    found = json.loads(result.out)
    schema = found["data"]["schema"]
    assert [column["name"] for column in schema["columns"]] == ["height", "width"]
    assert (schema["label"], schema["classes"]) == ("species", ["rose", "tulip"])
    assert "height" in call("info", trained).out


def test_lists(call) -> None:
    result = call("list", "samplers")
    assert result.code == 0
    for name in pf.registry.names("samplers"):
        assert name in result.out
    everything = json.loads(call("list", "--json").out)
    assert set(everything["samplers"]) == set(pf.registry.names("samplers"))
    assert set(everything["schedules"]) == set(pf.registry.names("schedules"))


def test_the_doctor(call, tmp_path: Path, flowers: Path) -> None:
    healthy = call("doctor", flowers, "--label", "species")
    assert healthy.code == 0
    rows = torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
    np.save(tmp_path / "data.npy", torch.cat([rows, rows]).numpy())
    result = call("doctor", tmp_path / "data.npy", "--json")
    found = json.loads(result.out)
    assert "Repeated rows" in [finding["title"] for finding in found]
    short = call("doctor", tmp_path / "data.npy", "model.process.schedule={class: ou, horizon: 1}")
    assert "The prior is not reached" in short.out


def test_a_recipe_goes_round(call, tmp_path: Path, flowers: Path) -> None:
    words = [
        "train",
        flowers,
        "--label",
        "species",
        "--steps",
        7,
        "model.process.schedule=cosine",
        "train.lr=1e-2",
    ]
    first = call(*words, "--print-config")
    assert first.code == 0
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(first.out)
    again = call("train", "--recipe", recipe, "--print-config")
    assert again.out == first.out
    changed = call("train", "--recipe", recipe, "train.steps=9", "--print-config")
    assert changed.out == first.out.replace("steps: 7", "steps: 9", 1)


def test_resuming_needs_the_folder_alone(call, flowers: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ["train", flowers, "--label", "species", "--out", out, "--model", "flow"]
    options = ["model.width=8", "--steps", 4, "train.schedule=constant"]
    assert call(*words, *options).code == 0
    before = (out / "recipe.yaml").read_text()
    again = call("train", "--resume", "--out", out)
    assert again.code == 0, again.err
    assert (out / "recipe.yaml").read_text() == before
    more = call("train", "--resume", "--out", out, "--steps", 6)
    assert more.code == 0, more.err
    assert json.loads((out / "manifest.json").read_text())["step"] == 6
    # What is refused leaves the recipe of the run that there is.
    assert call("train", "--resume", "--out", out, "--lr", "0.5").code == 2
    assert "lr: 0.001" in (out / "recipe.yaml").read_text()


def test_the_recipe_is_there_before_the_training(call, tmp_path: Path, monkeypatch) -> None:
    out, seen = tmp_path / "run", []

    def stopped(*args, **options):
        seen.append((out / "recipe.yaml").read_text())
        raise KeyboardInterrupt

    monkeypatch.setattr("pushforward.training.fit", stopped)
    assert call("train", "two_moons", "--steps", 4, "--out", out).code == 130
    assert "two_moons" in seen[0]
    monkeypatch.undo()
    again = call("train", "--resume", "--out", out)
    assert again.code == 0, again.err
    assert json.loads((out / "manifest.json").read_text())["step"] == 4


def test_resuming(call, flowers: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ["train", flowers, "data.columns=[height, width]", "--out", out, "--resume"]
    assert call(*words, "--steps", 4, "train.schedule=constant").code == 0
    assert call(*words, "--steps", 6, "train.schedule=constant").code == 0
    assert json.loads((out / "manifest.json").read_text())["step"] == 6
    other = call(*words, "--steps", 6, "train.schedule=constant", "--lr", "0.5")
    assert other.code == 2
    assert "lr 0.001 -> 0.5" in other.err


def test_json_is_all_that_goes_to_standard_output(call, trained: Path, flowers: Path) -> None:
    for words in (
        ["evaluate", trained, "-n", 60],
        ["logprob", trained, flowers],
        ["info", trained],
    ):
        json.loads(call(*words, "--json").out)


def test_log_densities_that_have_not_converged_say_so(call, tmp_path) -> None:
    """An encoder that knows nothing of the data, on a decoder that resolves it finely."""
    torch.manual_seed(0)
    encoder = pf.latent.DiagonalEncoder(pf.nn.Perceptron(2, 4, width=8), latent=2)
    decoder = pf.latent.GaussianDecoder(pf.nn.Perceptron(2, 2, width=8), 0.01)
    pf.VAE(encoder, decoder, event_shape=2).save(tmp_path / "model")
    asked = ("logprob", tmp_path / "model", "two_moons", "-n", 20)
    out = tmp_path / "rows.csv"
    plain = call(*asked, "--out", out)
    assert "20 of them NOT CONVERGED" in plain.out
    assert "not to be trusted" in plain.out
    assert out.read_text().startswith("row,log_prob,stderr,converged\n")
    found = json.loads(call(*asked, "--json").out)
    assert found["converged"] is False
    assert {row["converged"] for row in found["rows"]} == {False}
