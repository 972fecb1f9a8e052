"""Every example, benchmark and picture runs from beginning to end, small."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HELPERS = {
    "drawing.py",
    "entries.py",
    "judged_data.py",
    "laws.py",
    "peers.py",
    "record.py",
    "restored_pictures.py",
    "shared.py",
    "timing.py",
}
SCRIPTS = sorted(
    path
    for folder in ("examples", "benchmarks", "docs", "docs/pictures")
    for path in (ROOT / folder).glob("*.py")
    if path.name not in HELPERS
)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_it_runs(script: Path, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONWARNINGS": "error"}
    if script.parent.name == "benchmarks":
        # Other libraries may be installed beside ours; how they warn is not our affair.
        environment["PYTHONWARNINGS"] = "default"
    done = subprocess.run(
        [sys.executable, script, "--smoke"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
