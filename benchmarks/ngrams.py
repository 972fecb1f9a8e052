"""What a text costs in bits a character by counting and by general compressors."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["COMPRESSORS", "compressed", "witten_bell"]

Codes = NDArray[np.int64]

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "zlib": lambda text: zlib.compress(text, 9),
    "bz2": lambda text: bz2.compress(text, 9),
    "xz": lambda text: lzma.compress(text, preset=9 | lzma.PRESET_EXTREME),
}


def witten_bell(train: Codes, test: Codes, order: int, symbols: int) -> float:
    """Bits a character of `test` under n-grams of an order, interpolated (Witten & Bell 1991).

    `p(w | h) = (c(h w) + T(h) p(w | h')) / (c(h) + T(h))`, where `c` counts in `train`, `T(h)` is
    how many different symbols followed the history `h`, and `h'` is without its first symbol.
    The order 1 mixes counts of symbols with the uniform distribution.

    >>> text = np.array([0, 1, 0, 1, 0, 1])
    >>> witten_bell(text, text, 1, 2)
    1.0
    """
    chance = np.full(len(test), 1.0 / symbols)
    for length in range(order):
        seen = _histories(train, length, symbols)
        followed = seen * symbols + train
        grams, counts = np.unique(followed, return_counts=True)
        histories, starts, kinds = np.unique(
            grams // symbols, return_index=True, return_counts=True
        )
        totals = np.add.reduceat(counts, starts)
        now = _histories(test, length, symbols)
        c_h, kinds_h = _looked_up(now, histories, totals), _looked_up(now, histories, kinds)
        c_hw = _looked_up(now * symbols + test, grams, counts)
        # A history that was never seen leaves the shorter one as it is.
        mixed = (c_hw + kinds_h * chance) / np.maximum(c_h + kinds_h, 1)
        chance = np.where(c_h > 0, mixed, chance)
    return float(-np.log2(chance).mean())


def compressed(train: bytes, test: bytes, compress: Callable[[bytes], bytes]) -> float:
    """Bits a character that `test` adds to the compressed `train`."""
    return 8 * (len(compress(train + test)) - len(compress(train))) / len(test)


def _histories(text: Codes, length: int, symbols: int) -> Codes:
    """The number of the `length` symbols before each one; those before the first are zeros."""
    found = np.zeros(len(text), dtype=np.int64)
    for k in range(length, 0, -1):
        found *= symbols
        found[k:] += text[:-k]
    return found


def _looked_up(keys: Codes, known: Codes, values: Codes) -> Codes:
    """The values of keys, zero for what is not known."""
    place = np.searchsorted(known, keys).clip(max=len(known) - 1)
    return np.where(known[place] == keys, values[place], 0)
