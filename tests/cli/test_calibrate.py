"""`pushforward calibrate`: an exact conditional model passes, rows of another law do not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

NOISE = 0.3


def _write(path: Path, n: int, seed: int, noise: float = NOISE) -> Path:
    g = torch.Generator().manual_seed(seed)
    z = torch.randint(0, 3, (n, 1), generator=g)
    y = 0.8 * z + noise * torch.randn(n, 2, generator=g)
    rows = [f"{a:.5f},{b:.5f},{k}" for (a, b), (k,) in zip(y.tolist(), z.tolist(), strict=True)]
    path.write_text("\n".join(["y,v,z", *rows]) + "\n")
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A flow of p(y, v | z)."""
    from pushforward.cli import main

    folder = tmp_path_factory.mktemp("calibrated")
    data = _write(folder / "pairs.csv", 2000, 0)
    words = [
        *("--quiet", "train", data, "--label", "z", "--model", "flow", "--out", folder / "run"),
        *("model.kind=maf", "model.layers=2", "model.width=16", "--steps", 300, "--lr", 3e-3),
        *("--batch-size", 256),
    ]
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    assert end.value.code == 0
    return folder / "run"


def test_held_out_rows_are_ranked(run: Path, call) -> None:
    result = call("calibrate", run, "--draws", 39)
    assert result.code == 0
    assert "calibration over 200 pairs with 39 draws each" in result.out
    found = json.loads((run / "calibration.json").read_text())
    assert set(found["p_values"]) == {"SBC", "TARP", "coverage"}
    assert set(found["quantities"]) == {"y", "v"}
    # How much of the spread of y and v is known from z, which has the variance 2/3.
    known = 1 - NOISE**2 / (NOISE**2 + 0.64 * 2 / 3)
    assert found["contraction"] == pytest.approx([known] * 2, abs=0.1)
    page = (run / "calibration.html").read_text()
    assert "data:image/png;base64," in page and "Calibration of run" in page  # noqa: PT018


def test_parts_of_the_draws_change_nothing(run: Path, call) -> None:
    whole, parts = (
        json.loads(call("calibrate", run, "--draws", 9, "--batch-size", size, "--json").out)
        for size in (1800, 70)
    )
    for name in ("p_values", "quantities", "contraction"):
        assert parts[name] == pytest.approx(whole[name], rel=1e-4), name


def test_rows_with_more_noise_are_seen(run: Path, call, tmp_path: Path) -> None:
    other = _write(tmp_path / "noisy.csv", 400, 5, noise=0.5)
    result = call("calibrate", run, other, "--draws", 39, "--json")
    assert result.code == 0
    found = json.loads(result.out)
    assert set(found["rejected"]) == {"SBC", "TARP", "coverage"}
    assert found["pairs"] == 400
    assert min(found["mean_square_z"]) > 1.8


def test_a_model_that_is_told_nothing_is_refused(call, tmp_path: Path) -> None:
    data = _write(tmp_path / "plain.csv", 60, 0)
    out = tmp_path / "plain"
    assert call("train", data, "--model", "ppca", "--out", out).code == 0
    result = call("calibrate", out)
    assert result.code == 2
    assert "takes no labels or contexts" in result.err
