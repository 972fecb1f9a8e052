"""What the cells of a table mean holds for other data of the run too, in any format."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas


def test_missing_codes_and_dates_go_with_the_run(call, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    days = pandas.date_range("2024-01-01", periods=80, freq="h")
    frame = pandas.DataFrame(
        {"when": days, "a": random.normal(size=80), "b": random.normal(size=80)}
    )
    frame.loc[3, "a"] = -999
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    words = ["data.missing=-999", "data.since=2024-01-01", "data.drop_nonfinite=true"]
    out = tmp_path / "run"
    trained = call(
        "train", tmp_path / "t.csv", *words, "--out", out, "--steps", 2, "--model", "kde"
    )
    assert trained.code == 0, trained
    means = []
    for name in ("t.csv", "t.parquet"):
        result = call("logprob", out, tmp_path / name, "--json")
        assert result.code == 0, result
        means.append(result.out)
    assert means[0] == means[1]
    assert "NaN" not in means[0]
    assert len(json.loads(means[0])["rows"]) in (79, 80)
