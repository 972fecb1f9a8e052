"""A saved model is read as it was written or not at all, whatever the moment a write broke off."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import pushforward as pf
from pushforward._records import sealed
from pushforward.errors import InputError
from pushforward.processes import Gaussian
from pushforward.spaces import Hilbert, Points


def _covariance(length: float) -> torch.Tensor:
    x = torch.linspace(0, 1, 4)
    return torch.exp(-(x[:, None] - x[None]).abs() / length)


def _model(kind: int) -> pf.Diffusion:
    """Two models whose weights fit each other's configuration, and whose tensors do too."""
    with torch.random.fork_rng():
        torch.manual_seed(kind)
        process = Gaussian(
            pf.schedules.VP(0.1, 10.0 + kind), space=Hilbert(_covariance(1.0 + kind))
        )
        return pf.Diffusion(pf.nn.MLP(4, width=8), process, event_shape=(4,))


def _drawn(model: pf.Diffusion) -> torch.Tensor:
    return model.sample(3, steps=3, seed=0)


@pytest.mark.parametrize("name", ["replace", "fsync"])
def test_a_save_that_breaks_off_leaves_one_model_or_the_other(
    tmp_path: Path, monkeypatch, name: str
) -> None:
    old, new = _drawn(_model(0)), _drawn(_model(1))
    assert not torch.equal(old, new)
    seen = set()
    for broken in range(40):
        folder = tmp_path / f"{broken}"
        _model(0).save(folder)
        calls = 0
        real = getattr(os, name)

        def failing(*args: Any, broken: int = broken, real: Any = real) -> Any:
            nonlocal calls
            calls += 1
            if calls > broken:
                raise OSError(28, "No space left on device")
            return real(*args)

        with monkeypatch.context() as patch:
            patch.setattr(os, name, failing)
            message = ""
            try:
                _model(1).save(folder)
            except InputError as error:
                message = str(error)
            if not message:
                break
        assert "cannot be written: No space left on device" in message
        found = _drawn(pf.load(folder))
        assert torch.equal(found, old) or torch.equal(found, new)
        seen.add(torch.equal(found, old))
        # The next one that has room is whole, and sweeps up.
        _model(1).save(folder)
        assert torch.equal(_drawn(pf.load(folder)), new)
        assert len(os.listdir(folder)) == 4
    assert 5 < broken < 40
    # The configuration is replaced last: only what comes after finds the new one.
    assert seen == ({True} if name == "replace" else {True, False})


def test_another_file_in_the_place_of_the_weights_is_refused(tmp_path: Path) -> None:
    _model(0).save(tmp_path / "a")
    _model(1).save(tmp_path / "b")
    weights = (tmp_path / "b/model.safetensors").read_bytes()
    (tmp_path / "a/model.safetensors").write_bytes(weights)
    with pytest.raises(InputError, match="not the file that its configuration was written with"):
        pf.load(tmp_path / "a")
    flipped = bytearray(weights)
    flipped[-5] ^= 1
    (tmp_path / "b/model.safetensors").write_bytes(flipped)
    with pytest.raises(InputError, match="it is damaged, or belongs to another model"):
        pf.load(tmp_path / "b")


def test_a_file_that_is_lost_or_not_named_is_told(tmp_path: Path) -> None:
    _model(0).save(tmp_path)
    (tmp_path / "arguments.safetensors").unlink()
    with pytest.raises(InputError, match=r"arguments\.safetensors is lost"):
        pf.load(tmp_path)
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    del config["files"]["model.safetensors"]
    (tmp_path / "config.yaml").write_text(sealed(config))
    with pytest.raises(InputError, match=r"does not name model\.safetensors among its files"):
        pf.load(tmp_path)


def test_tensors_among_the_arguments_come_back(tmp_path: Path) -> None:
    model = _model(0)
    model.save(tmp_path)
    again = pf.load(tmp_path)
    assert torch.equal(again.process.space.covariance, _covariance(1.0))
    assert torch.equal(_drawn(again), _drawn(model))


def test_averages_that_are_lost_are_not_replaced_by_raw_weights(tmp_path: Path) -> None:
    x = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
    pf.fit(_model(0), x, steps=2, out=tmp_path / "run", progress=False)
    folder = tmp_path / "run/checkpoints/step-00000002"
    (folder / "ema.safetensors").unlink()
    with pytest.raises(InputError, match=r"ema\.safetensors is lost"):
        pf.load(tmp_path / "run", checkpoint="last")


def _thinned(folder: Path, steps: int = 1, **options: Any) -> pf.Diffusion:
    process = pf.processes.JumpDiffusion()
    x = Points(torch.zeros(8, 2, 1), torch.ones(8, 2).bool())
    data = pf.data.load(x, space=process.space)
    options |= {"batch_size": 8, "out": folder, "progress": False}
    return pf.fit(pf.Diffusion.for_data(data, process=process), data, steps=steps, **options).model


def _rewritten(folder: Path, version: Any) -> None:
    """Let a saved configuration say another version of its process, or none for 1."""
    config = yaml.safe_load((folder / "config.yaml").read_text())
    process = config["model"]["args"]["process"]
    assert process.pop("version") == process["args"]["thinning"]["version"] == 2
    if version != 1:
        process["version"] = version
    (folder / "config.yaml").write_text(sealed(config))


def test_a_class_whose_weights_mean_something_else_is_refused(tmp_path: Path) -> None:
    model = _thinned(tmp_path / "run")
    for version, message in (
        (1, r"processes.JumpDiffusion of version 1, .* reads version 2, .*: train again, or use"),
        (3, r"of version 3, .* reads version 2: pip install --upgrade pushforward"),
        ("x", "is damaged: the version of processes.JumpDiffusion is 'x'"),
    ):
        model.save(tmp_path / "saved")
        pf.load(tmp_path / "saved")
        _rewritten(tmp_path / "saved", version)
        with pytest.raises(InputError, match=message):
            pf.load(tmp_path / "saved")
    # A run: what is loaded, and what goes on.
    _rewritten(tmp_path / "run/checkpoints/step-00000001", 1)
    with pytest.raises(InputError, match=r"step-00000001 holds .* of version 1"):
        pf.load(tmp_path / "run")
    _rewritten(tmp_path / "run", 1)
    with pytest.raises(InputError, match=r"run holds processes.JumpDiffusion of version 1"):
        _thinned(tmp_path / "run", steps=2, resume=True)
