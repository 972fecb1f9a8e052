"""Noise that belongs to rows: a hash of the seed, the row and the draw."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pushforward.errors import InputError

__all__ = ["RowNoise", "derived_seed"]

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


def derived_seed(seed: int, *keys: int) -> int:
    """A seed for each key, well mixed (SplitMix64, Steele et al. 2014).

    >>> derived_seed(0, 1) != derived_seed(1, 0)
    True
    """
    state = 0
    for key in (seed, *keys):
        state = (state + _GOLDEN + (key & _MASK)) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state >> 1


if TYPE_CHECKING:
    _Generator = torch.Generator
else:
    # What torch itself draws from a generator does not belong to rows. So this is none to torch,
    # which then refuses it, where a subclass would give every row noise that has no seed.
    _Generator = object


class RowNoise(_Generator):
    """Random numbers that belong to the rows of a set, whatever batch they come in.

    What row `k` gets at its `i`-th draw of a kind follows from the seed, `k` and `i` alone, on any
    device and for any memory layout: the numbers are a hash of these (normal ones agree between
    devices up to rounding). The functions of `_random` read it (`normal_like`, `uniform_like`,
    `categories`, ...), and torch's own refuse it.

    Args:
        seed: of the set.
        rows: which rows of the set the batch holds, next to each other.
        device: where the states are.

    >>> part = slice(20, 23)
    >>> whole = RowNoise(7, slice(0, 40)).draw((40, 2), True, torch.float32)
    >>> torch.equal(whole[part], RowNoise(7, part).draw((3, 2), True, torch.float32))
    True
    """

    device: torch.device

    def __init__(self, seed: int, rows: slice, device: torch.device | str = "cpu") -> None:
        if not 0 <= rows.start <= rows.stop:
            raise InputError(f"rows of a set run from 0 upwards, not from {rows}")
        self.device = torch.device(device)
        self._seed, self._rows = seed, rows
        self._reset({}, 0)

    @functools.cached_property
    def _keys(self) -> Tensor:
        """A word for each row; samplers without noise never ask."""
        first, stop = self._rows.start, self._rows.stop
        numbers = torch.arange(first, stop, dtype=torch.int64, device=self.device)
        return _spread(numbers, derived_seed(self._seed, 0))

    def _reset(self, counts: dict[_Kind, int], forks: int) -> None:
        """Stand where so many draws of each kind are made."""
        self._made, self._forks = counts, forks
        self._ahead: dict[_Kind, list[Tensor]] = {}
        self._reach: dict[_Kind, int] = {}

    def __len__(self) -> int:
        return int(self._rows.stop - self._rows.start)

    def take(self, rows: slice | Tensor) -> RowNoise:
        """The noise of some of the rows, from where it stands."""
        keys = self._keys[rows]
        counts = {
            ((len(keys), *kind[0][1:]), *kind[1:]): made - len(self._ahead[kind])
            for kind, made in self._made.items()
        }
        return self._with(keys, counts, self._forks)

    def fork(self, copies: int = 1) -> RowNoise:
        """New noise for each row, another one at each call; or for several copies of each row.

        The copies of a row are next to each other.
        """
        self._forks += 1
        keys = self._keys + _signed(derived_seed(self._forks, 1))
        if copies > 1:
            numbers = torch.arange(copies, dtype=torch.int64, device=self.device)
            keys = (_mix(keys)[:, None] + _spread(numbers, derived_seed(self._forks, 2))).flatten()
        return self._with(_mix(keys), {}, 0)

    def _with(self, keys: Tensor, counts: dict[_Kind, int], forks: int) -> RowNoise:
        found = object.__new__(RowNoise)
        found.device, found._keys, found._rows = self.device, keys, slice(0, len(keys))
        found._reset(counts, forks)
        return found

    def draw(self, shape: tuple[int, ...], normal: bool, dtype: torch.dtype) -> Tensor:
        """Numbers `(B, *event)`, normal or uniform on [0, 1).

        Raises `InputError` unless `B` is the number of rows.
        """
        kind = (shape, normal, dtype)
        ahead = self._ahead.get(kind)
        if not ahead:
            ahead = self._ahead[kind] = self._more(kind)
        return ahead.pop()

    def _more(self, kind: _Kind) -> list[Tensor]:
        """The next draws of a kind, the last one first: one, then eight times as many each time.

        Small ones are made together, since a hash takes a dozen calls whatever its size. How many
        does not matter to the numbers.
        """
        shape, _, dtype = kind
        if not shape or shape[0] != len(self):
            raise InputError(f"noise of {len(self)} rows cannot be shaped like {tuple(shape)}")
        together = max(1, _TOGETHER // max(1, math.prod(shape)))
        draws = min(8 * self._reach.get(kind, 0) or 1, together, _MOST)
        made = self._made.get(kind, 0)
        self._reach[kind], self._made[kind] = draws, made + draws
        found = _numbers(self._keys, kind, made, draws).view(draws, *shape).to(dtype)
        if not kind[1]:
            # Rounding to few digits may reach one.
            found.clamp_(max=1 - torch.finfo(dtype).eps / 2)
        return list(found.unbind())[::-1]


_Kind = tuple[tuple[int, ...], bool, torch.dtype]
"""A shape, whether numbers are normal or uniform, and their precision: each counts on its own."""

_TOGETHER = 1 << 15
"""Numbers that are made in one go."""

_MOST = 64
"""Draws that are made ahead."""

_PRECISIONS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)

_PIECE = 1 << 14
"""Words that are hashed in one go on a CPU, so that they stay in its cache."""


def _numbers(keys: Tensor, kind: _Kind, first: int, draws: int) -> Tensor:
    """Some draws of a kind, `(draws, B, k)`, each number a hash of its row, draw and place."""
    (_, *event), normal, dtype = kind
    size, double = math.prod(event), dtype == torch.float64
    # A word of 64 bits is one number in double precision, and two in single.
    words = size if double else -(-size // 2)
    place = torch.arange(first * words, (first + draws) * words, device=keys.device)
    place = _spread(place, _tag(kind)).view(draws, 1, words)
    exact = torch.float64 if double else torch.float32
    out = torch.empty(draws, len(keys), size, dtype=exact, device=keys.device)
    piece = _PIECE // max(1, draws * words) if keys.device.type == "cpu" else len(keys)
    piece = max(1, piece)
    for i in range(0, len(keys), piece):
        hashed, part = _mix(place + keys[i : i + piece, None]), out[:, i : i + piece]
        if double and normal:
            part.copy_(hashed >> 11).add_(0.5).mul_(2.0**-52)
        elif double:
            part.copy_(hashed >> 11).mul_(2.0**-53).add_(0.5)
        elif normal:
            # The factor keeps the ends of the interval away, where the numbers would be infinite.
            torch.mul(hashed.view(torch.int32)[..., :size], _BELOW_ONE * 2.0**-31, out=part)
        else:
            torch.mul(hashed.view(torch.int32)[..., :size] >> 8, 2.0**-24, out=part).add_(0.5)
        if normal:
            part.erfinv_().mul_(math.sqrt(2))
    return out


@functools.lru_cache
def _tag(kind: _Kind) -> int:
    """A seed for each kind of draws, whatever the number of rows."""
    (_, *event), normal, dtype = kind
    return derived_seed(len(event), *event, normal, _PRECISIONS.index(dtype))


_BELOW_ONE = 1 - 2.0**-24
_ODD = 0xD6E8FEB86659FD93 - (1 << 64)


def _mix(words: Tensor) -> Tensor:
    """A bijection of 64-bit words, in place, whose bits all depend on all bits.

    Twice `z ^= z >> 32; z *= odd`, and the first once more. The shifts are taken on halves of the
    words, since torch shifts the sign in.
    """
    halves = words.view(torch.int32)
    low, high = halves[..., ::2], halves[..., 1::2]
    low ^= high
    words *= _ODD
    low ^= high
    words *= _ODD
    low ^= high
    return words


def _spread(numbers: Tensor, seed: int) -> Tensor:
    """Words for numbers that count, under a seed."""
    return _mix(_mix(numbers * _signed(_GOLDEN) + _signed(derived_seed(seed))))


def _signed(word: int) -> int:
    """A word as torch counts."""
    word &= _MASK
    return word - (1 << 64) if word >> 63 else word
