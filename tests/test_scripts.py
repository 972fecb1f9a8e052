"""Every example, benchmark and picture runs from beginning to end, small."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from forked import Server

ROOT = Path(__file__).parents[1]
HELPERS = {
    "corpora.py",
    "drawing.py",
    "entries.py",
    "function_worlds.py",
    "judged_data.py",
    "laws.py",
    "line.py",
    "ngrams.py",
    "peers.py",
    "peers_of_chains.py",
    "record.py",
    "restored_pictures.py",
    "shared.py",
    "timing.py",
    "trainings.py",
}
SCRIPTS = sorted(
    path
    for folder in ("examples", "benchmarks", "docs", "docs/pictures")
    for path in (ROOT / folder).glob("*.py")
    if path.name not in HELPERS
)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_it_runs(forked: Server, script: Path, tmp_path: Path) -> None:
    # Other libraries may be installed beside ours; how they warn is not our affair.
    warn = "default" if script.parent.name == "benchmarks" else "error"
    env = os.environ | {"PYTHONWARNINGS": warn}
    done = forked.run(script, "--smoke", cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
