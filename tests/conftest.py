"""Shared by all tests: one thread, so that small nets run at the same speed everywhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from pushforward import registry

sys.path.insert(0, str(Path(__file__).parent))

from forked import Server


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _no_waiting_for_the_disk() -> Iterator[None]:
    """No test of this process takes the power away; the disk is a third of a short training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session")
def forked() -> Iterator[Server]:
    """Makes processes that need not load torch."""
    server = Server()
    yield server
    server.close()


@pytest.fixture(autouse=True, scope="session")
def _few_frames() -> Iterator[None]:
    """Strips of a report are short and maps coarse: all are drawn by the same code."""
    from pushforward.report import density_maps, writing

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "_FRAMES", 2)
        for name in ("_FEWEST", "_MOST", "_TRIED"):
            patch.setattr(density_maps, name, 8)
        yield


@pytest.fixture(autouse=True)
def _no_names_added(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short names that a test adds end with it."""
    for axis, known in registry.TABLE.items():
        monkeypatch.setitem(registry.TABLE, axis, dict(known))


@pytest.fixture(autouse=True)
def _global_randomness(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Networks start from the global generator, as everywhere in torch; nothing else may use it."""
    torch.manual_seed(0)
    starts = 0
    initialize = torch.nn.Module.__init__

    def counting(self: torch.nn.Module, *args: object, **kwargs: object) -> None:
        nonlocal starts
        starts += 1
        initialize(self, *args, **kwargs)

    monkeypatch.setattr(torch.nn.Module, "__init__", counting)
    before = torch.get_rng_state()
    yield
    untouched = torch.equal(before, torch.get_rng_state())
    assert untouched or starts, "torch's global generator was used without building a network"
