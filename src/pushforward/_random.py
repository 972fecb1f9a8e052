"""Randomness: one torch generator per call, never global state."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import InputError

__all__ = ["normal_like", "resolve", "uniform_like"]


def resolve(
    seed: int | None = None,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
) -> torch.Generator:
    """The generator that a call draws from: the one given, or a new one from `seed`.

    Without either, the new generator is seeded from the operating system's entropy.
    Raises `InputError` if both are given or the generator lives on another device type.

    >>> torch.rand(2, generator=resolve(seed=0))
    tensor([0.4963, 0.7682])
    """
    device = torch.device(device)
    if generator is not None:
        if seed is not None:
            raise InputError(f"give seed= or generator=, not both (seed={seed})")
        if generator.device.type != device.type:
            raise InputError(
                f"generator lives on {generator.device.type} but the state on {device.type}: "
                f"make it with torch.Generator('{device.type}')"
            )
        return generator
    fresh = torch.Generator(device)
    if seed is None:
        fresh.seed()
    else:
        fresh.manual_seed(seed)
    return fresh


def normal_like(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Standard normal noise with the shape, dtype and device of `x`.

    >>> normal_like(torch.zeros(2, 3)).shape
    torch.Size([2, 3])
    """
    return torch.empty_like(x).normal_(generator=generator)


def uniform_like(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Uniform noise on [0, 1) with the shape, dtype and device of `x`.

    >>> uniform_like(torch.zeros(2, 3)).shape
    torch.Size([2, 3])
    """
    return torch.empty_like(x).uniform_(generator=generator)
