"""Randomness: one torch generator per call, never global state."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor

from pushforward.errors import InputError

__all__ = [
    "RowNoise",
    "branch",
    "derived_seed",
    "even_rows",
    "normal_like",
    "resolve",
    "uniform_like",
]

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


_TOGETHER = 16  # rows with one generator: fewer draw more numbers for nothing, more cost time
_AT_ONCE = 1024  # numbers of one generator: a call for fewer takes as long


class RowNoise(torch.Generator):
    """Noise that belongs to the rows of a set, whatever batch they come in.

    What row `k` gets at its next draw follows from the seed and `k` alone. `normal_like` and
    `uniform_like` read it.

    Args:
        seed: of the set.
        rows: which rows the batch holds, next to each other.
        device: where the states are; the numbers are drawn on the CPU, the same for any device.

    >>> x = torch.zeros(40, 2)
    >>> part = slice(20, 23)
    >>> whole = normal_like(x, RowNoise(7, slice(0, 40)))
    >>> few = normal_like(x[part], RowNoise(7, part))
    >>> torch.equal(whole[part], few)
    True
    """

    def __new__(cls, seed: int, rows: slice, device: torch.device | str = "cpu") -> RowNoise:
        return super().__new__(cls, device)  # type: ignore[call-arg]

    def __init__(self, seed: int, rows: slice, device: torch.device | str = "cpu") -> None:
        first, last = rows.start // _TOGETHER, -(-rows.stop // _TOGETHER)
        self._blocks = [
            torch.Generator().manual_seed(derived_seed(seed, block)) for block in range(first, last)
        ]
        self._inside = slice(rows.start - first * _TOGETHER, rows.stop - first * _TOGETHER)
        # Kinds of draws come in turns where a state has parts.
        self._ahead: dict[Any, list[Tensor]] = {}

    def draw(self, x: Tensor, kind: Literal["normal", "uniform"]) -> Tensor:
        """Standard noise for the rows, shaped like `x`."""
        key = (kind, x.dtype, x.shape)
        ahead = self._ahead.get(key)
        if not ahead:
            ahead = self._ahead[key] = self._drawn(x, kind)
        return ahead.pop().to(x.device)

    def _drawn(self, x: Tensor, kind: Literal["normal", "uniform"]) -> list[Tensor]:
        """Noise for this draw and, of small states, the next ones, the last one first."""
        draws = max(1, _AT_ONCE // max(1, _TOGETHER * math.prod(x.shape[1:])))
        noise = torch.empty(len(self._blocks), draws, _TOGETHER, *x.shape[1:], dtype=x.dtype)
        for block, generator in zip(noise.unbind(), self._blocks, strict=True):
            fill = block.normal_ if kind == "normal" else block.uniform_
            fill(generator=generator)
        return [draw.flatten(0, 1)[self._inside] for draw in noise.unbind(1)][::-1]


def normal_like(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Standard normal noise with the shape, dtype and device of `x`.

    >>> normal_like(torch.zeros(2, 3)).shape
    torch.Size([2, 3])
    """
    if isinstance(generator, RowNoise):
        return generator.draw(x, "normal")
    return torch.empty_like(x).normal_(generator=generator)


def uniform_like(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Uniform noise on [0, 1) with the shape, dtype and device of `x`.

    >>> uniform_like(torch.zeros(2, 3)).shape
    torch.Size([2, 3])
    """
    if isinstance(generator, RowNoise):
        return generator.draw(x, "uniform")
    return torch.empty_like(x).uniform_(generator=generator)


def even_rows(n: int, kept: int, generator: torch.Generator) -> Tensor:
    """`n` of `kept` row numbers in random order, `(n,)`, each as often as any other up to one.

    >>> even_rows(5, 2, resolve(seed=0)).bincount().sort().values
    tensor([2, 3])
    """
    device = generator.device
    passes = -(-n // kept) if kept else 0
    orders = [torch.randperm(kept, generator=generator, device=device) for _ in range(passes)]
    return torch.cat([torch.empty(0, dtype=torch.long, device=device), *orders])[:n]
