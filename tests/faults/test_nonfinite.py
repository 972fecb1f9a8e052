"""States that are not finite are not written under the name that was asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.cli import main
from pushforward.errors import SamplingError


def _call(capsys, *words: object) -> tuple[int, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return int(end.value.code or 0), capsys.readouterr().err


@pytest.fixture(scope="module")
def broken(tmp_path_factory) -> dict[str, Path]:
    """Saved models whose weights are far too large, and data for them."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    x = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    found = {"data": folder / "data.npy"}
    np.save(found["data"], x.numpy())
    nets = {
        "sample": pf.Diffusion(pf.nn.MLP(2, width=8)),
        "translate": pf.FlowMatching(pf.nn.MLP(2, width=8)),
    }
    for command, model in nets.items():
        source = {"source": x + 1} if command == "translate" else {}
        out = folder / command
        model = pf.fit(
            model, found["data"], steps=1, holdout=0.5, out=out, progress=False, **source
        ).model
        with torch.no_grad():
            for weights in model.parameters():
                weights.fill_(1e30)
        model.save(folder / f"{command}-saved")
        found[command] = folder / f"{command}-saved"
    return found


@pytest.mark.filterwarnings("ignore:.*not finite")
@pytest.mark.parametrize("command", ["sample", "translate"])
@pytest.mark.parametrize("suffix", [".npz", ".csv", ".png"])
def test_samples_that_are_not_finite_are_no_result(
    broken: dict[str, Path], tmp_path: Path, capsys, command: str, suffix: str
) -> None:
    out = tmp_path / f"x{suffix}"
    out.write_text("mine")
    data = [broken["data"]] if command == "translate" else ["-n", 5]
    words = ["-q", command, broken[command], *data, "--out", out]
    code, err = _call(capsys, *words)
    assert code == 3
    assert "states are not finite, the first is 0" in err
    assert out.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [out]
    if suffix == ".npz":
        assert main_ends_well(words)
        assert not np.isfinite(np.load(out)["x"]).any()


def main_ends_well(words: list[object]) -> bool:
    """Whether the same command, asked to keep such states, is done."""
    with pytest.raises(SystemExit) as end:
        main([*map(str, words), "--keep-nonfinite"])
    return not end.value.code


def test_a_sampler_that_cannot_go_on_has_the_same_code(
    broken: dict[str, Path], tmp_path: Path, capsys, monkeypatch
) -> None:
    def stuck(*args: object, **options: object) -> None:
        raise SamplingError("a step underflows")

    monkeypatch.setattr(pf.Diffusion, "sample", stuck)
    code, err = _call(capsys, "sample", broken["sample"], "--out", tmp_path / "x.npz")
    assert (code, err) == (3, "error: a step underflows\n")


def test_in_python_states_that_are_not_finite_come_with_a_warning(broken: dict[str, Path]) -> None:
    with pytest.warns(UserWarning, match="5 of 5 samples are not finite"):
        x = pf.load(broken["sample"]).sample(5, seed=0)
    assert not x.isfinite().any()
