"""Randomness: one torch generator per call, never global state."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import InputError

__all__ = ["branch", "derived_seed", "normal_like", "resolve", "uniform_like"]

_MASK = (1 << 64) - 1


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


def derived_seed(seed: int, *keys: int) -> int:
    """A seed for each key, well mixed (SplitMix64, Steele et al. 2014).

    >>> derived_seed(0, 1) != derived_seed(1, 0)
    True
    """
    state = 0
    for key in (seed, *keys):
        state = (state + 0x9E3779B97F4A7C15 + (key & _MASK)) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state >> 1


def branch(generator: torch.Generator, key: int) -> torch.Generator:
    """An independent generator for each key; key 0 goes on with the generator itself.

    What it draws follows from the key and from where the generator stands.

    >>> a, b = (branch(resolve(seed=0), key) for key in (1, 2))
    >>> torch.equal(torch.rand(3, generator=a), torch.rand(3, generator=b))
    False
    """
    if key == 0:
        return generator
    device = generator.device
    drawn = torch.randint(1 << 31, (), generator=generator, device=device)
    return torch.Generator(device).manual_seed(derived_seed(int(drawn), key))


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
