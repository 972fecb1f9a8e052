"""`pushforward compare`, and training of models by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

import pushforward as pf


@pytest.fixture(scope="module")
def runs(flowers: Path, tmp_path_factory) -> list[Path]:
    """A good model and one that is far too wide, of the same table."""
    folder = tmp_path_factory.mktemp("models")
    for name, bandwidth in (("good", 0.3), ("wide", 5.0)):
        model = pf.models.KernelDensity(bandwidth)
        data = pf.data.load(str(flowers), label="species")
        with pytest.warns(UserWarning, match="takes no labels"):
            pf.fit(model, data, out=folder / name, progress=False)
    return [folder / "good", folder / "wide"]


def test_runs_are_compared_in_one_table_and_one_page(call, runs, tmp_path: Path) -> None:
    out = tmp_path / "both.html"
    result = call("-q", "compare", *runs, "--out", out, "-n", 100)
    assert result.code == 0
    head, good, wide, *rest = result.out.splitlines()
    assert head.split()[:2] == ["model", "NLL"]
    assert good.startswith("good")
    assert wide.startswith("wide")
    assert [line.split("  ")[0] for line in rest[:4]] == [
        "kernel density",
        "Gaussian mixture",
        "probabilistic PCA",
        "real data",
    ]
    assert "wide is worse than the kernel density in NLL" in result.out
    assert "good is worse" not in result.out
    assert "wide is worse than the kernel density" in out.read_text()
    with Image.open(tmp_path / "both.png") as picture:
        assert picture.size[0] > 1000


def test_a_comparison_as_json_has_what_was_measured(call, runs, flowers, tmp_path: Path) -> None:
    words = ["--out", tmp_path / "x.html", "-n", 100, "--no-baselines", "--json"]
    found = json.loads(call("-q", "compare", runs[0], *words).out)
    (entry,) = found["entries"]
    model = pf.load(runs[0])
    assert entry["parameters"] == sum(b.numel() for b in model.buffers())
    assert entry["kind"] == "exact"
    rows = {row["name"]: row for row in entry["evaluation"]["rows"]}
    held = pf.data.load(str(flowers), label="species").split(0.1, seed=0)[1]
    assert rows["NLL"]["value"] == pytest.approx(-float(model.log_prob(held.x).value.mean()))


def test_runs_of_different_data_are_not_compared(call, runs, trained, tmp_path: Path) -> None:
    other = tmp_path / "other"
    data = pf.data.load("two_moons").take(torch.arange(200))
    pf.fit(pf.models.ProbabilisticPCA(), data, out=other, progress=False)
    result = call("compare", runs[0], other, "--out", tmp_path / "x.html")
    assert result.code == 2
    assert call("compare", runs[0], runs[0], "--out", tmp_path / "x.html").code == 2
    assert "not 'x.txt'" in call("compare", runs[0], "--out", "x.txt").err


def test_a_model_is_trained_by_name(call, flowers: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ["train", flowers, "--label", "species", "--model", "mixture", "--out", out]
    with pytest.warns(UserWarning, match="takes no labels"):
        assert call(*words, "model.components=2").code == 0
    assert len(pf.load(out).weights) == 2
    assert call("logprob", out, flowers, "-n", 5).code == 0
    assert "did you mean 'components'" in call(*words, "model.component=2").err
    assert "no model is called 'mixtur'" in call(*words, "model=mixtur").err
