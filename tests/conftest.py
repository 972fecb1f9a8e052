"""Shared by all tests: one thread, so that small nets run at the same speed everywhere."""

from __future__ import annotations

import ctypes
import functools
import gc
import importlib.metadata
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from pushforward import registry

sys.path.insert(0, str(Path(__file__).parent))

from forked import KEPT, Server

DRAWN: dict[str, bytes] = {}
"""Pictures that stand for others in all modules that do not look at them."""
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def _keep_memory() -> None:
    """What a tensor gives back stays for the next one.

    By default the C library returns large blocks to the system, which clears every page that is
    asked for again: a fifth of the time of tests with thousands of states.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, int(KEPT["MALLOC_MMAP_THRESHOLD_"]))
        mallopt(M_TRIM_THRESHOLD, int(KEPT["MALLOC_TRIM_THRESHOLD_"]))


_keep_memory()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collecting makes millions of objects that stay: the garbage collector need not look at them,
    neither while they come, which is a third of the time it takes, nor in the tests. Those load
    more that stays, packages by the dozen, which it looks at ten times less often than usual."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        young, middle, old = gc.get_threshold()
        gc.set_threshold(young, middle, 10 * old)
        gc.enable()


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _no_waiting_for_the_disk() -> Iterator[None]:
    """No test of this process takes the power away; the disk is a third of a short training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(autouse=True, scope="session")
def _packages_stay() -> Iterator[None]:
    """Lightning asks all packages for callbacks whenever a training starts, which takes as long as
    a few steps: here it is told what it was told before."""
    with pytest.MonkeyPatch.context() as patch:
        told = functools.cache(importlib.metadata.entry_points)
        patch.setattr(importlib.metadata, "entry_points", told)
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


@pytest.fixture(scope="module")
def coarse_pictures() -> Iterator[None]:
    """Pictures of few dots that do not make room for their words, and are drawn once for all states
    of one kind and number: how they look is tested where they are drawn."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    from pushforward.report import captioned, compositions, globes, painters
    from pushforward.report.pictures import Look

    draw: Any = Look._png

    def again(look: Look, x: Any, count: int | None, **options: Any) -> bytes:
        """By all that decides on what is done: all but the numbers."""
        key = repr([_without_numbers(v) for v in (*look._views(x), *look._painters, options)])
        if (key := f"{count} {key}") not in DRAWN:
            DRAWN[key] = draw(look, x, count, **options)
        return DRAWN[key]

    with pytest.MonkeyPatch.context() as patch:
        for module in (captioned, compositions, globes, painters):
            patch.setattr(module, "_DOTS", 40)
        patch.setattr(ConstrainedLayoutEngine, "execute", lambda engine, figure: None)
        patch.setattr(Look, "_png", again)
        yield


def _without_numbers(value: Any) -> Any:
    """Kinds, names and shapes alone."""
    if isinstance(value, torch.Tensor):
        return value.dtype, value.shape
    if isinstance(value, float):
        return float
    if isinstance(value, dict):
        return {key: _without_numbers(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_numbers(part) for part in value]
    parts = getattr(value, "__dict__", None)
    return (type(value), _without_numbers(parts)) if parts is not None else value


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
