"""The global generators, which dropout draws from: seeded for a run, and given back after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

__all__ = ["private", "reseed"]

_BACKENDS: dict[str, Any] = {"cuda": torch.cuda, "mps": torch.mps}


def reseed(seed: int, device: torch.device) -> None:
    """Seed the global generators of the CPU and of one device, which dropout draws from.

    `torch.manual_seed` would seed every device there is, and `private` could not undo that.
    """
    torch.default_generator.manual_seed(seed)
    if device.type in _BACKENDS:
        _BACKENDS[device.type].manual_seed(seed)


@contextmanager
def private(device: torch.device) -> Iterator[None]:
    """The user's global generators of the CPU and of one device come back as they were.

    >>> before = torch.get_rng_state()
    >>> with private(torch.device("cpu")):
    ...     reseed(1, torch.device("cpu"))
    >>> torch.equal(before, torch.get_rng_state())
    True
    """
    backend = _BACKENDS.get(device.type)
    states = torch.get_rng_state(), backend and backend.get_rng_state()
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        if backend is not None:
            backend.set_rng_state(states[1])
