"""The command line when the system refuses: one line with the cure, a code, and no lost work."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import pushforward as pf
from forked import Server
from pushforward.cli import main
from pushforward.cli.refusals import told


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    data = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    out = tmp_path_factory.mktemp("runs") / "run"
    model = pf.Diffusion(pf.nn.MLP(2, width=8))
    pf.fit(model, data, steps=2, out=out, progress=False)
    return out


def _call(capsys, *words: object) -> tuple[int, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return int(end.value.code or 0), capsys.readouterr().err


def _shell(command: str, folder: Path) -> subprocess.CompletedProcess:
    """What a shell makes of a command; `PF` stands for pushforward."""
    program = f"{sys.executable} -m pushforward"
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command.replace("PF", program)],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )


SYSTEM = {
    "no room": (OSError(errno.ENOSPC, "No space left on device", "x.npz"), "make room"),
    "read-only": (OSError(errno.EROFS, "Read-only file system", "x.npz"), "write elsewhere"),
    "no right": (PermissionError(errno.EACCES, "Permission denied", "x"), "its permissions"),
    "memory": (MemoryError(), "out of memory: give a smaller --batch-size"),
    "memory of torch": (
        RuntimeError("can't allocate memory: you tried to allocate 4000 bytes."),
        "out of memory when 4000 bytes more were asked for",
    ),
    "memory of a GPU": (
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB."),
        "out of memory when 2.50 GiB more were asked for",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", SYSTEM)
def test_a_refusal_of_the_system_is_a_line_with_its_cure(
    run: Path, tmp_path: Path, capsys, monkeypatch, fault: str
) -> None:
    error, message = SYSTEM[fault]

    def refusing(*args: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(pf.Diffusion, "sample", refusing)
    code, err = _call(capsys, "sample", run, "--out", tmp_path / "x.npz")
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_fault_of_the_program_is_none_of_the_system() -> None:
    for error in (KeyError("x"), RuntimeError("shapes differ"), ZeroDivisionError()):
        assert told(error) is None


REFUSED = {
    "samples beyond memory": (["sample", "RUN", "-n", 10**12], "GiB, and this machine has"),
    "a seed beyond 64 bits": (["sample", "RUN", "--seed", 10**25], "--seed has at most 64 bits"),
    "a seed of a training": (
        ["train", "two_moons", "--out", "OUT", "--seed", 10**25],
        "--seed has at most 64 bits",
    ),
    "a seed of a bridge": (
        ["bridge", "--source", "two_moons", "--target", "8gaussians", "--out", "OUT"]
        + ["--seed", 10**25],
        "--seed has at most 64 bits",
    ),
    "a folder for a file": (["sample", "RUN", "--out", "folder.npz"], "is a folder"),
    "a file for a folder": (["sample", "RUN", "--out", "file/x.npz"], "cannot be written"),
    "a name too long": (["sample", "RUN", "--out", "x" * 300 + ".npz"], "File name too long"),
    "a depth without end": (
        ["train", "two_moons", "--out", "OUT", "model.net.class=mlp", "model.net.depth=1000000000"],
        "depth is at most 10000",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_before_the_work(
    run: Path, tmp_path: Path, capsys, monkeypatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "file").write_text("mine")
    monkeypatch.setattr(pf.Diffusion, "sample", None)
    words, message = REFUSED[name]
    places = {"RUN": run, "OUT": tmp_path / "out"}
    code, err = _call(capsys, *(places.get(word, word) for word in words))
    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert message in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.npz"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_streams_that_are_full_closed_or_read_by_nobody(run: Path, tmp_path: Path) -> None:
    # What a command prints is written when it ends, whatever it is: here what needs no torch.
    done = _shell("PF list samplers > /dev/full", tmp_path)
    assert done.returncode == 2
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    done = _shell("(sleep 0; PF list samplers) | true", tmp_path)
    assert (done.returncode, done.stderr) == (141, "")
    for stream in ("2>&-", ">&- 2>/dev/full"):
        name = f"x{len(list(tmp_path.iterdir()))}.npz"
        done = _shell(f"PF sample {run} -n 3 --out {name} {stream}", tmp_path)
        assert done.returncode == 0, (stream, done.stderr)
        assert np.load(tmp_path / name)["x"].shape == (3, 2)


LIMITED = """
import resource, sys
from pushforward.cli import main
# No file may have more bytes.
resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))
main(sys.argv[1:])
"""


@pytest.mark.skipif(os.name == "nt", reason="limits of a process")
def test_a_full_disk_leaves_the_file_that_was_there(
    forked: Server, run: Path, tmp_path: Path
) -> None:
    words = ("-q", "sample", run, "--out", "x.npz", "-n")
    done = forked.run("-c", LIMITED, *words, 100, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    before = (tmp_path / "x.npz").read_bytes()
    done = forked.run("-c", LIMITED, *words, 5000, cwd=tmp_path)
    assert done.returncode == 2
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "x.npz").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"]


def test_a_training_without_the_extras_of_its_report_is_done(
    tmp_path: Path, capsys, monkeypatch
) -> None:
    for module in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    out = tmp_path / "run"
    code, err = _call(capsys, "-q", "train", "two_moons", "--out", out, "--steps", 2)
    assert code == 0
    assert "no report was written: to draw" in err
    assert "pip install" in err
    assert pf.load(out).sample(2, seed=0).shape == (2, 2)


def test_verify(run: Path, capsys) -> None:
    with pytest.raises(SystemExit) as end:
        main(["info", str(run), "--verify"])
    assert not end.value.code
    assert "step-00000002" in capsys.readouterr().out
    weights = run / "checkpoints/step-00000002/training.safetensors"
    before = weights.read_bytes()
    weights.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    code, err = _call(capsys, "info", run, "--verify")
    weights.write_bytes(before)
    assert code == 2
    assert "training.safetensors is not the file" in err


SHORT = {
    "samples": (["sample", "RUN", "-n", 1000, "--out", "x.npz"], "x.npz will take 7.8 KiB"),
    "samples as text": (["sample", "RUN", "-n", 1000, "--out", "x.csv"], "x.csv will take 3.9 KiB"),
    "an evaluation": (
        ["evaluate", "RUN", "-n", 1000, "--data", "DATA"],
        "samples.npz will take 7.8 KiB",
    ),
    "log-densities": (
        ["logprob", "RUN", "two_moons", "--out", "x.csv"],
        "x.csv will take 58.6 KiB",
    ),
    "a training": (["train", "two_moons", "--out", "OUT", "--steps", 2], "checkpoints will take"),
    "a training of many checkpoints": (
        ["train", "two_moons", "--out", "OUT", "--steps", 9, "train.checkpoint_every=2"],
        "checkpoints will take",
    ),
}


@pytest.mark.parametrize("name", SHORT)
def test_no_room_is_found_before_the_work(
    run: Path, tmp_path: Path, capsys, monkeypatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pushforward.report.judging.log_density", None)
    monkeypatch.setattr(pf.Diffusion, "_start", None)
    monkeypatch.setattr("pushforward.metrics.evaluating.FEWEST", 2)
    monkeypatch.setattr(pf.training.loop.Loop, "run", None)
    monkeypatch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(2**40, 2**40, 1000))
    words, message = SHORT[name]
    np.save(tmp_path / "data.npy", torch.randn(40, 2, generator=torch.Generator().manual_seed(0)))
    places = {"RUN": run, "OUT": tmp_path / "out", "DATA": tmp_path / "data.npy"}
    code, err = _call(capsys, "-q", *(places.get(word, word) for word in words))
    assert code == 2
    assert f"{message}" in err
    assert "1000 bytes are free there: make room, or write elsewhere" in err
    assert not list(tmp_path.glob("x.*"))


def test_room_for_what_is_written_is_enough(run: Path, tmp_path: Path, monkeypatch) -> None:
    """An estimate that is too high would refuse what fits."""
    from pushforward._files import require_space
    from pushforward.data.writing import least_size

    x = torch.zeros(2000, 2)
    for name in ("x.npz", "x.npy", "x.csv", "x.tsv", "x.jsonl", "x.csv.gz", "x.parquet"):
        pf.data.write(tmp_path / name, x, space=pf.spaces.Euclidean())
        least = least_size(name, x.numel(), pf.data.Schema())
        assert least <= (tmp_path / name).stat().st_size, name
        require_space(tmp_path / name, least)
    seen: list[int] = []
    monkeypatch.setattr(
        "pushforward.training.checkpoint.require_space", lambda path, size: seen.append(size)
    )
    for steps, every in ((2, 2), (4, 2), (9, 2)):
        out = tmp_path / f"run-{steps}"
        pf.fit(
            # Large enough that the headers of files do not count.
            pf.Diffusion(pf.nn.MLP(2, width=64)),
            torch.randn(40, 2, generator=torch.Generator().manual_seed(0)),
            steps=steps,
            checkpoint_every=every,
            out=out,
            progress=False,
        )
    kept = sum(f.stat().st_size for f in (tmp_path / "run-4").rglob("*.safetensors"))
    assert seen[1] <= kept <= 2 * seen[1]
    assert seen[1] == 2 * seen[0]
    assert seen[2] == 3 * seen[0]


def test_log_densities_are_replaced_as_a_whole(
    run: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    out = tmp_path / "x.npz"
    out.write_bytes(b"mine")

    def full(file, **arrays: object) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    np.save(tmp_path / "data.npy", np.zeros((3, 2)))
    code, _ = _call(capsys, "-q", "logprob", run, tmp_path / "data.npy", "--out", out)
    assert code == 2
    assert out.read_bytes() == b"mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.npy", "x.npz"]
    (tmp_path / "d.csv").mkdir()
    monkeypatch.setattr(pf.Diffusion, "log_prob", None)
    code, err = _call(
        capsys, "-q", "logprob", run, tmp_path / "data.npy", "--out", tmp_path / "d.csv"
    )
    assert code == 2
    assert "is a folder" in err


@pytest.mark.parametrize(
    "words",
    [
        ("sample", "RUN", "-n", 30, "--batch-size", 16),
        ("logprob", "RUN", "two_moons", "-n", 30, "--batch-size", 16),
        ("evaluate", "RUN", "-n", 30, "--batch-size", 16, "--data", "DATA"),
        ("translate", "BRIDGE", "DATA", "--batch-size", 16),
        ("train", "two_moons", "--out", "OUT", "--steps", 2, "--batch-size", 16),
    ],
    ids=lambda words: words[0],
)
def test_no_memory_says_how_much_a_state_takes(
    run: Path, tmp_path: Path, capsys, monkeypatch, words: tuple[object, ...]
) -> None:
    real = torch.nn.Linear.forward

    def limited(self: torch.nn.Linear, x: torch.Tensor) -> torch.Tensor:
        if len(x) > 4:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")
        return real(self, x)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.nn.Linear, "forward", limited)
    monkeypatch.setattr("pushforward.metrics.evaluating.FEWEST", 2)
    np.save("data.npy", torch.randn(40, 2, generator=torch.Generator().manual_seed(0)))
    pf.FlowMatching(pf.nn.MLP(2, width=8), event_shape=(2,)).save("map")
    places = {"RUN": run, "OUT": tmp_path / "out", "DATA": "data.npy", "BRIDGE": "map"}
    code, err = _call(capsys, "-q", *(places.get(word, word) for word in words))
    assert code == 2
    assert re.search(r"out of memory: a state takes about [\d.]+ (bytes|KiB) in the network", err)
    assert "--batch-size 8 fits" in err
    assert "Traceback" not in err
