"""The complete model printed in the documentation is a model of the command line."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import pushforward as pf

PAGE = Path(__file__).parents[2] / "docs" / "contributing" / "model.md"


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The first block of the page as a module of the user."""
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[0]
    (tmp_path / "mine.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(pf.registry.TABLE, "models", dict(pf.registry.TABLE["models"]))
    yield "mine"
    sys.modules.pop("mine", None)


@pytest.mark.filterwarnings("ignore:this OneGaussian takes no labels")
def test_it_trains_evaluates_samples_compares(call, mine, flowers: Path, tmp_path: Path) -> None:
    run, trust = tmp_path / "run", ("--trust", mine)
    words = ("--model", "one-gaussian", "--label", "species", "model.start=0.5")
    settings = ("--steps", 150, "--lr", 0.1, "train.warmup=0", "train.ema=0.0")
    done = call("-q", "train", flowers, *words, *settings, "--out", run, *trust)
    assert done.code == 0, done.err
    assert "OneGaussian" in (run / "report.html").read_text(encoding="utf-8")
    data = pf.data.load(flowers, label="species")
    # Six held-out rows do not tell the end of training from the middle of it.
    model = pf.load(run, trust=(mine,), checkpoint="last")
    x = data.split(0.1, seed=0)[0].x
    assert torch.allclose(model.outward(model.mean), x.mean(0), atol=0.2)

    again = call("train", "--resume", "--out", run, *trust)
    assert again.code == 0, again.err
    found = json.loads(call("-q", "evaluate", run, "-n", 100, "--json", *trust).out)
    rows = {row["name"]: row for row in found["rows"]}
    assert rows["NLL"]["note"].endswith("exact")
    # Two clusters seen as one: the energy distance is far above that of real data.
    assert rows["energy distance"]["value"] > 0.1 > rows["energy distance"]["floor"]

    out = tmp_path / "new.csv"
    assert call("sample", run, "-n", 7, "--out", out, *trust).code == 0
    with out.open() as file:
        head, *drawn = csv.reader(file)
    assert head == ["height", "width"]
    assert len(drawn) == 7
    assert call("logprob", run, out, *trust).out.startswith("LogProb(exact)")
    refused = call("sample", run, "--steps", 3, "--out", out, *trust)
    assert "--steps means nothing to a OneGaussian" in refused.err
    page = tmp_path / "all.html"
    both = call("-q", "compare", run, "--out", page, "-n", 100, *trust)
    assert both.code == 0, both.err
    assert "run is worse than the kernel density in NLL" in both.out
    assert page.is_file()


def test_it_is_not_known_without_trust(call, mine, flowers: Path, tmp_path: Path) -> None:
    found = call("train", flowers, "--model", "one-gaussian", "--out", tmp_path / "run")
    assert found.code == 2
    assert "no model is called 'one-gaussian'" in found.err
    named = call("train", flowers, "--model", "mine:OneGaussian", "--out", tmp_path / "run")
    assert "--trust mine" in named.err
    other = call("train", flowers, "--model", "nn.MLP", "--out", tmp_path / "run")
    assert "is no class of models" in other.err
