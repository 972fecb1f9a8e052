"""The global generators, which dropout draws from: seeded for a run, and given back after it.

There is one of them for all threads. What a run draws from them, it draws in a turn of its own,
which begins with a seed: so runs in several threads give what each gives alone.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from pushforward._random import derived_seed

__all__ = ["dropout_seed", "private", "turn"]

_BACKENDS: dict[str, Any] = {"cuda": torch.cuda, "mps": torch.mps}

_TURN = threading.RLock()
"""Held by whoever may draw from the global generators."""

_GIVEN_BACK: dict[str, tuple[Any, int]] = {}
"""The user's states, by device, and how many runs will give them back."""


def dropout_seed(seed: int) -> int:
    """The seed of the global generators in a step of training, from that of its noise.

    >>> dropout_seed(0) != dropout_seed(1)
    True
    """
    return derived_seed(seed, 2, 0)


@contextmanager
def turn(seed: int, device: torch.device) -> Iterator[None]:
    """Draw from the global generators of the CPU and of one device, from a seed, undisturbed.

    Other runs wait. Draws of the user's own in other threads do not, and are not reproducible
    meanwhile.

    >>> with private(torch.device("cpu")), turn(1, torch.device("cpu")):
    ...     first = torch.rand(())
    >>> with private(torch.device("cpu")), turn(1, torch.device("cpu")):
    ...     torch.equal(first, torch.rand(()))
    True
    """
    with _TURN:
        # `torch.manual_seed` would seed every device there is, which could not be undone.
        torch.default_generator.manual_seed(seed)
        if device.type in _BACKENDS:
            _BACKENDS[device.type].manual_seed(seed)
        yield


@contextmanager
def private(device: torch.device) -> Iterator[None]:
    """The user's global generators of the CPU and of one device come back as they were.

    Of runs in several threads, the first keeps them, and the last gives them back.

    >>> before = torch.get_rng_state()
    >>> with private(torch.device("cpu")), turn(1, torch.device("cpu")):
    ...     _ = torch.rand(3)
    >>> torch.equal(before, torch.get_rng_state())
    True
    """
    used = dict.fromkeys(("cpu", str(device)))
    with _TURN:
        for name in used:
            state, users = _GIVEN_BACK.get(name) or (_state(name), 0)
            _GIVEN_BACK[name] = state, users + 1
    try:
        yield
    finally:
        with _TURN:
            for name in used:
                state, users = _GIVEN_BACK.pop(name)
                if users > 1:
                    _GIVEN_BACK[name] = state, users - 1
                else:
                    _put_back(name, state)


def _state(name: str) -> Any:
    backend = _BACKENDS.get(torch.device(name).type)
    return torch.get_rng_state() if backend is None else backend.get_rng_state()


def _put_back(name: str, state: Any) -> None:
    backend = _BACKENDS.get(torch.device(name).type)
    if backend is None:
        torch.set_rng_state(state)
    else:
        backend.set_rng_state(state)
