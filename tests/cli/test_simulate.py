"""`pushforward simulate`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from pushforward import simulation


@pytest.fixture
def module(tmp_path: Path, monkeypatch) -> str:
    """A module of the user with a simulation, and with what is none."""
    (tmp_path / "own_sde.py").write_text(
        "from pushforward.distributions import Normal\n"
        "from pushforward.simulation import KernelScore, Simulation\n"
        "def ou():\n"
        "    return Simulation(lambda x, t: -x, 1.0, Normal((1,)), KernelScore(), .4, 8, 100)\n"
        "ready = ou()\n"
        "def nothing():\n"
        "    return 5\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return "own_sde"


def test_an_sde_of_ones_own(call, module) -> None:
    words = ("simulate", "sde", f"{module}:ou", "--trust", module, "--out", "run")
    found = json.loads(call("--quiet", *words, "--json").out)
    kept = simulation.load("run")
    assert found["rates"]["expansion"]["value"] == float(kept.column("expansion")[-1])
    assert found["warnings"] == kept.warnings()
    again = call("--quiet", *words)
    assert (again.code, "give another folder, or --resume to go on" in again.err) == (2, True)
    done = call("--quiet", *words, "--resume")
    assert done.code == 0
    assert "production" in done.out
    assert torch.equal(simulation.load("run").x, kept.x)
    assert call("--quiet", *words[:-1], "other", "--keep", 2).code == 0
    assert len(simulation.load("other").times) == 3


@pytest.mark.parametrize(
    ("place", "trusted", "said"),
    [
        ("own_sde:ou", "json", "give --trust own_sde"),
        ("own_sde:nothing", "own_sde", "no Simulation"),
        ("own_sde:absent", "own_sde", "has no 'absent'"),
        ("own_sde", "own_sde", "MODULE:FUNCTION"),
        ("json:dumps", "json", "is called without arguments"),
    ],
)
def test_what_is_no_simulation(call, module, place: str, trusted: str, said: str) -> None:
    done = call("simulate", "sde", place, "--trust", trusted, "--out", "run")
    assert done.code == 2
    assert said in done.err
    assert not Path("run").exists()


def test_a_fluid(call, tmp_path: Path) -> None:
    words = ("simulate", "fluid", "--n", 16, "--frames", 4, "--every", 0.5, "--spinup", 1)
    found = json.loads(call("--quiet", *words, "--out", tmp_path / "a.npz", "--json").out)
    assert found["means"]["energy"] > 0
    assert call("--quiet", *words, "--out", tmp_path / "b.npz", "--seed", 1).code == 0
    assert call("--quiet", *words, "--out", tmp_path / "c.npz").out.startswith("energy")
    bytes_of = {name: (tmp_path / f"{name}.npz").read_bytes() for name in "abc"}
    assert bytes_of["a"] == bytes_of["c"] != bytes_of["b"]
    again = call(*words, "--out", tmp_path / "a.npz")
    assert (again.code, "there already" in again.err) == (2, True)
    done = call(*words, "--out", tmp_path / "d.npz", "--step", 0.3)
    assert (done.code, "multiple of the time step 0.3" in done.err) == (2, True)
