"""Simulations that are killed and go on, to the same numbers; and what folders hold."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import pytest
import torch
from linear import Affine

from pushforward import simulation
from pushforward.distributions import Normal
from pushforward.errors import InputError
from pushforward.simulation import LearnedScore, Simulated, Simulation, SimulationPosition


def _simulation(seed: int = 3) -> Simulation:
    score = LearnedScore(Affine(2), steps=3, first=20, lr=0.02, batch=30)
    return Simulation(lambda x, t: -x, 0.5, Normal((2,)), score, 1.0, 12, 50, 1, seed=seed)


def _same(a: Simulated, b: Simulated) -> None:
    assert torch.equal(a.x, b.x)
    assert torch.equal(a.times, b.times)
    assert torch.equal(a.velocity, b.velocity)
    assert torch.equal(a.log_density, b.log_density)
    assert torch.equal(a.history.nan_to_num(-1), b.history.nan_to_num(-1))
    assert a.finished == b.finished


@pytest.mark.parametrize("after", [1, 5, 12])
def test_broken_off_and_resumed_is_the_same(after: int, tmp_path: Path) -> None:
    whole = _simulation().run(progress=False)

    def stop(position: SimulationPosition) -> None:
        if len(position.history) == after:
            raise MemoryError

    with pytest.raises(MemoryError):
        _simulation().run(tmp_path, checkpoint_every=2, progress=False, callback=stop)
    if after > 1:
        begun = simulation.load(tmp_path)
        assert not begun.finished
        assert torch.equal(begun.x, whole.x[: len(begun.x)])
    _same(whole, _simulation().run(tmp_path, resume=True, progress=False))
    _same(whole, simulation.load(tmp_path))
    _same(whole, _simulation().run(tmp_path, resume=True, progress=False))


KILLED = textwrap.dedent(
    """
    import os, signal, sys
    sys.path[:0] = [sys.argv[1]]
    import torch
    torch.set_num_threads(1)
    from test_resuming import _simulation

    def kill(position):
        if len(position.history) == 7:
            os.kill(os.getpid(), signal.SIGKILL)

    _simulation().run(sys.argv[2], checkpoint_every=3, progress=False, callback=kill)
    """
)


def test_killed_and_resumed_is_the_same(tmp_path: Path, forked: object) -> None:
    done = forked.run("-c", KILLED, Path(__file__).parent, tmp_path / "run")
    assert done.returncode == -9, done.stderr
    assert len(simulation.load(tmp_path / "run").history) == 6
    found = _simulation().run(tmp_path / "run", resume=True, progress=False)
    _same(found, _simulation().run(progress=False))
    assert sorted(os.listdir(tmp_path / "run")) == ["config.yaml", "step-00000012.safetensors"]


def test_a_folder_is_not_another_simulations(tmp_path: Path) -> None:
    _simulation().run(tmp_path / "run", progress=False)
    with pytest.raises(InputError, match="resume=True to go on"):
        _simulation().run(tmp_path / "run", progress=False)
    with pytest.raises(InputError, match="another simulation: seed 3 -> 4"):
        _simulation(4).run(tmp_path / "run", resume=True, progress=False)
    with pytest.raises(InputError, match="out="):
        _simulation().run(resume=True)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        _simulation().run(tmp_path, progress=False)
    with pytest.raises(InputError, match="holds no simulation"):
        simulation.load(tmp_path)


def test_damage_is_seen(tmp_path: Path) -> None:
    _simulation().run(tmp_path / "run", progress=False)
    file = tmp_path / "run" / "step-00000012.safetensors"
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        simulation.load(tmp_path / "run")
    with pytest.raises(InputError, match="damaged"):
        _simulation().run(tmp_path / "run", resume=True, progress=False)
