"""One small trained run for all tests of the command line, and a way to call it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from pushforward.cli import main


class Result(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True, scope="module")
def _coarse_pictures(coarse_pictures: None) -> None:
    """How they look is tested where they are drawn."""


@pytest.fixture
def call(capfd) -> Callable[..., Result]:
    """Call the command line in this process."""

    def run(*words: object) -> Result:
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(word) for word in words])
        code = end.value.code
        return Result(code if isinstance(code, int) else int(bool(code)), *capfd.readouterr())

    return run


@pytest.fixture(scope="session")
def flowers(tmp_path_factory) -> Path:
    """A table with names and a column of labels."""
    import torch

    generator = torch.Generator().manual_seed(0)
    rows = ["height,width,species"]
    for _ in range(300):
        kind = int(torch.randint(0, 2, (), generator=generator))
        height, width = (10 * kind + torch.randn(2, generator=generator)).tolist()
        rows.append(f"{height:.4f},{width:.4f},{('rose', 'tulip')[kind]}")
    path = tmp_path_factory.mktemp("data") / "flowers.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="session")
def trained(flowers: Path, tmp_path_factory) -> Path:
    """A run of a few steps on the flowers."""
    out = tmp_path_factory.mktemp("runs") / "flowers"
    words = ["--quiet", "train", flowers, "--label", "species", "--out", out, "--steps", 30]
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    assert end.value.code == 0
    return out
