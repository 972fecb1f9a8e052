"""Randomness as a function of the step, so that a resumed run draws what it would have drawn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

__all__ = ["private", "reseed", "step_seed"]

_MASK = (1 << 64) - 1
_BACKENDS: dict[str, Any] = {"cuda": torch.cuda, "mps": torch.mps}


def step_seed(seed: int, *keys: int) -> int:
    """A seed for each key, well mixed (SplitMix64, Steele et al. 2014).

    >>> step_seed(0, 1) != step_seed(1, 0)
    True
    """
    state = 0
    for key in (seed, *keys):
        state = (state + 0x9E3779B97F4A7C15 + (key & _MASK)) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state >> 1


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
