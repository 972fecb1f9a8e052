"""Tables of few rows: what `train` says of their evaluation, and evaluation in folds."""

from __future__ import annotations

import json


def test_few_rows_are_told_before_and_judged_in_folds(call, tmp_path, monkeypatch) -> None:
    out = tmp_path / "run"
    words = ("two_moons", "data.n=60", "--steps", "4", "--batch-size", "8", "--out", out)
    found = call("train", *words, "--model", "flow")
    assert "6 of 60 rows are held out, and `evaluate` wants 20" in found.err
    assert "train.holdout=0.33" in found.err
    refused = call("evaluate", out)
    assert refused.code == 2
    assert "--folds 5" in refused.err
    # There are enough samples.
    assert "-n" not in refused.err
    assert found.err.count("drawing samples for the report: ") == 1
    told = call("evaluate", out, "--folds", "3")
    assert told.code == 0
    first, second, third = told.out.splitlines()
    assert first.startswith("NormalizingFlow: NLL")
    assert second.startswith("GaussianMixtureModel: NLL")
    assert third.startswith("NormalizingFlow minus GaussianMixtureModel: ")
    kept = json.loads((out / "cross_validation.json").read_text())
    assert kept["cross_validation"]["rows"] == 60
    assert kept["cross_validation"]["folds"] == 3
    (out / "cross_validation.json").unlink()
    (out / "cross_validation.json").mkdir()
    monkeypatch.setattr("pushforward.report.cross_validate", None)
    told = call("evaluate", out, "--folds", "3")
    assert told.code == 2
    assert "cross_validation.json is a folder" in told.err
