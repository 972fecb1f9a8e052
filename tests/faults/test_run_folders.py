"""A run folder: one writer, checkpoints of this run and this step, and no folder made twice."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import pushforward as pf
from forked import Server
from pushforward._records import read_sealed, sealed
from pushforward.errors import InputError, TrainingError
from pushforward.models import KernelDensity, saving
from pushforward.models.checkpoints import HeldWeights
from pushforward.models.saving import check
from pushforward.models.sealed_folder import checksums
from pushforward.training.lock import LOCK, Lock
from pushforward.training.trackers import read_history

DATA = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))


def _model(width: int = 8) -> pf.Diffusion:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return pf.Diffusion(pf.nn.MLP(2, width=width))


def _fit(out: Path, model: Any = None, **changes: Any) -> Any:
    settings = {"steps": 12, "batch_size": 16, "checkpoint_every": 4, "log_every": 1}
    settings |= {"progress": False, **changes}
    return pf.fit(model or _model(), DATA, out=out, **settings)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Two runs of one length, with other seeds: their checkpoints have the same names."""
    folder = tmp_path_factory.mktemp("runs")
    _fit(folder / "a")
    _fit(folder / "b", seed=1)
    return folder


@pytest.fixture
def runs(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path / "runs")
    return tmp_path / "runs"


def _step(run: Path, step: int = 12) -> Path:
    return run / f"checkpoints/step-{step:08d}"


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) * 3 // 4] ^= 1
    path.write_bytes(content)


def _put(name: str) -> Callable[[Path], object]:
    return lambda runs: shutil.copy(_step(runs / "b") / name, _step(runs / "a") / name)


def _other_checkpoint(runs: Path) -> None:
    shutil.rmtree(_step(runs / "a"))
    shutil.copytree(_step(runs / "b"), _step(runs / "a"))


def _renamed(runs: Path) -> None:
    os.rename(_step(runs / "a"), _step(runs / "a", 90))


def _other_family(runs: Path) -> None:
    shutil.rmtree(_step(runs / "a"))
    KernelDensity.for_data(pf.data.load(DATA)).save(_step(runs / "a"))


PLANTED: dict[str, tuple[Callable[[Path], object], str]] = {
    "averages, one bit": (lambda r: _flip(_step(r / "a") / "ema.safetensors"), "damaged"),
    "averages lost": (lambda r: (_step(r / "a") / "ema.safetensors").unlink(), "is lost"),
    "averages of another run": (_put("ema.safetensors"), "belongs to another model"),
    "configuration, one bit": (
        lambda r: _flip(_step(r / "a") / "config.yaml"),
        "is not as it was written",
    ),
    "configuration of another run": (
        _put("config.yaml"),
        r"another run|belongs to another",
    ),
    "checkpoint of another run": (_other_checkpoint, "is a checkpoint of another run"),
    "checkpoint renamed": (_renamed, "the checkpoint of step 12: it was renamed"),
    "a model of another family": (_other_family, "another model lies in its place"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_no_foreign_or_damaged_checkpoint_is_used(runs: Path, name: str) -> None:
    plant, message = PLANTED[name]
    plant(runs)
    before = {path: path.read_bytes() for path in runs.rglob("*.safetensors")}
    with pytest.raises(InputError, match=message):
        pf.load(runs / "a", checkpoint="last")
    with pytest.raises(InputError, match=message):
        check(runs / "a")
    with pytest.warns(UserWarning, match="going back one"):
        again = _fit(runs / "a", resume=True)
    whole = pf.load(_step(runs / "b").parent.parent)
    assert not torch.equal(_drawn(again.model), _drawn(whole))
    assert torch.equal(_drawn(again.model), _drawn(_fit(runs / "c").model))
    # What was passed over is set aside, not deleted: it may be another run's.
    kept = {path.read_bytes() for path in runs.rglob("*.safetensors")}
    newest = {path for path in before if "step-00000004" not in path.parts}
    assert all(before[path] in kept for path in newest)
    assert check(runs / "a")


def _drawn(model: Any) -> torch.Tensor:
    return model.sample(3, steps=3, seed=0)


@pytest.mark.parametrize("name", ["model", "training"])
def test_every_file_of_a_checkpoint_is_verified(runs: Path, name: str) -> None:
    assert len(check(runs / "a")) >= 2
    _flip(_step(runs / "a") / f"{name}.safetensors")
    with pytest.raises(InputError, match=rf"{name}\.safetensors is not the file"):
        check(runs / "a")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step": -5}, "step is a whole number of at least 0, not -5"),
        ({"step": 11}, "that of step 11"),
        ({"step": 12.0}, "step is a whole number"),
        ({"losses": "many"}, "losses is a whole number"),
        ({"best": [1]}, "best holds names and values"),
        ({"best": {"step": 4}}, "best lacks val_loss"),
        ({"extra": 1}, "has the unknown extra"),
    ],
)
def test_a_position_that_no_run_has_written(runs: Path, changes: dict, message: str) -> None:
    """With a valid checksum: whoever changes a file can make one."""
    folder = _step(runs / "a")
    path = folder / "training.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    config = read_sealed(folder / "config.yaml")
    config["files"]["training.json"] = pf._files.checksum(path)
    (folder / "config.yaml").write_text(sealed(config))
    with pytest.warns(UserWarning, match=message):
        assert _fit(runs / "a", resume=True).step == 12


def test_a_log_with_a_line_that_no_run_has_written(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": 0.5}\n{"step": 2, "lo')
    assert read_history(path) == [{"step": 1, "loss": 0.5}]
    for line in ("[1]", '{"step": -1}', '{"loss": 1}', '{"step": 1, "loss": [1]}', "\0", "[" * 99):
        path.write_text(f'{line}\n{{"step": 2}}\n')
        with pytest.raises(InputError, match="line 1 of"):
            read_history(path)


_HOLDER = """
import sys, time
from pathlib import Path
from pushforward.training.lock import Lock
with Lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_run_folder_has_one_writer_and_a_crash_lets_go(forked: Server, runs: Path) -> None:
    folder = runs / "a"
    child = forked.start("-c", _HOLDER, folder)
    try:
        assert child.stdout.readline() == "held\n"
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        with pytest.raises(InputError, match=f"being written by process {child.pid} on"):
            _fit(folder, resume=True)
        assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    finally:
        child.kill()
        child.communicate()
    assert (folder / LOCK).exists()
    assert _fit(folder, resume=True).step == 12
    assert not (folder / LOCK).exists()


def test_a_lock_that_is_let_go_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "a/b"
    with Lock(folder) as lock:
        assert lock.in_place()
        with pytest.raises(InputError, match=f"process {os.getpid()}"), Lock(folder):
            pass
        assert lock.in_place()
    assert list(tmp_path.iterdir()) == []


class _Moving:
    """A tracker that does something to the run folder at a step."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act

    def log(self, step: int, metrics: dict[str, Any]) -> None:
        if step == 6:
            self.act()

    def close(self) -> None:
        pass


@pytest.mark.parametrize("fate", ["moved", "deleted", "replaced"])
def test_a_folder_that_is_gone_ends_the_training(tmp_path: Path, fate: str) -> None:
    run = tmp_path / "run"

    def act() -> None:
        if fate == "deleted":
            shutil.rmtree(run)
        else:
            run.rename(tmp_path / "elsewhere")
        if fate == "replaced":
            run.mkdir()

    with pytest.raises(TrainingError, match=r"step 6: .*was moved or deleted") as caught:
        _fit(run, trackers=[_Moving(act)])
    assert (caught.value.run.status, caught.value.run.path) == ("failed", None)
    assert caught.value.run.model.sample(2, seed=0).isfinite().all()
    assert not run.exists() or list(run.iterdir()) == []
    if fate != "deleted":
        resumed = _fit(tmp_path / "elsewhere", resume=True)
        assert torch.equal(_drawn(resumed.model), _drawn(_fit(tmp_path / "whole").model))


def test_a_full_disk_ends_the_training_and_keeps_what_was_complete(
    tmp_path: Path, monkeypatch
) -> None:
    real = os.rename

    def full(source: Any, target: Any) -> None:
        if Path(target).name == "step-00000012":
            raise OSError(28, "No space left on device", str(target))
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", full)
        with pytest.raises(TrainingError, match="No space left on device"):
            _fit(tmp_path / "run")
    assert json.loads((tmp_path / "run/manifest.json").read_text())["status"] == "failed"
    kept = [folder.name for folder in check(tmp_path / "run")]
    assert kept[-1] == "step-00000008"
    assert torch.equal(
        _drawn(_fit(tmp_path / "run", resume=True).model),
        _drawn(_fit(tmp_path / "whole").model),
    )


def test_a_folder_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file/run"):
        model = _model()
        model.prepare = None  # the work would begin with it
        with pytest.raises(InputError, match=r"is a file|cannot be written"):
            _fit(out, model)


def test_a_run_is_read_while_it_is_written(tmp_path: Path, monkeypatch) -> None:
    """What is being read is removed by the training, which has gone on: the newer one is read."""
    settings: dict[str, Any] = {"holdout": 0.0, "schedule": "constant"}
    _fit(tmp_path, **settings)
    real, gone = saving.read_config, []

    def slow(folder: Path) -> Any:
        if not gone:
            gone.append(folder)
            _fit(tmp_path, steps=20, resume=True, **settings)
        return real(folder)

    monkeypatch.setattr(saving, "read_config", slow)
    assert pf.load(tmp_path).holds == HeldWeights("last", 20, 20)
    assert gone == [_step(tmp_path)]


def test_a_checkpoint_that_is_swept_while_it_is_verified_is_no_fault(
    runs: Path, monkeypatch
) -> None:
    real, oldest = saving.verified, _step(runs / "a", 8)

    def slow(folder: Path, *rest: Any) -> Path:
        if folder == oldest:
            shutil.rmtree(oldest, ignore_errors=True)
        return real(folder, *rest)

    monkeypatch.setattr(saving, "verified", slow)
    assert _step(runs / "a") in check(runs / "a")
    assert not oldest.exists()


def test_a_state_of_the_optimizer_that_does_not_fit_is_refused(runs: Path) -> None:
    """With a valid checksum: whoever changes a file can make one."""
    folder = _step(runs / "a")
    file = folder / "training.safetensors"
    for name, shape in (("0.step", (7,)), ("0.exp_avg", (7,)), ("99.exp_avg", (7,))):
        state = safetensors.torch.load_file(file)
        safetensors.torch.save_file(state | {name: torch.zeros(shape)}, file)
        config = read_sealed(folder / "config.yaml")
        text = sealed(config | checksums(folder, list(config["files"])))
        (folder / "config.yaml").write_text(text)
        with pytest.warns(UserWarning, match=rf"optimizer's {name} has shape \(7,\).*back one"):
            assert _fit(runs / "a", resume=True).step == 12
