"""What sequences of symbols are made of: their n-grams, and the longest piece that they copy."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.checks import whole
from pushforward.errors import InputError
from pushforward.metrics.estimate import Estimate

__all__ = ["gram_distance", "gram_entropy", "longest_copies"]

_GROUPS = 10
_BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2^64


def gram_entropy(x: Tensor, length: int, *, end: int | None = None) -> Estimate:
    r"""The entropy of the `length`-grams of sequences in bits, by their frequencies.

    With the correction of Miller (1955), `(kinds - 1) / (2 N ln 2)`, without which few grams look
    too certain. The error is that of independent grams.

    Args:
        x: integers `(B, L)`.
        length: symbols of a gram.
        end: a symbol after which nothing counts.

    Raises `InputError` for sequences without such a gram.

    >>> x = torch.tensor([[0, 1, 0, 1, 0, 1, 0, 1]])
    >>> round(gram_entropy(x, 1).value, 2), round(gram_entropy(x, 2).value, 2)
    (1.09, 1.09)
    """
    counts = np.unique(_codes(x, length, end), return_counts=True)[1].astype(float)
    total = counts.sum()
    surprise = -np.log2(counts / total)
    plain = float((counts * surprise).sum() / total)
    variance = float((counts * (surprise - plain) ** 2).sum() / total)
    bias = (len(counts) - 1) / (2 * total * math.log(2))
    return Estimate(float(plain + bias), math.sqrt(variance / total), len(x))


def gram_distance(
    x: Tensor, y: Tensor, length: int, *, end: int | None = None, seed: int = 0
) -> Estimate:
    """The total variation distance of the frequencies of `length`-grams of two sets of sequences.

    The error is a jackknife over ten groups of the rows of `x`; `seed` is not used.

    >>> x = torch.tensor([[0, 1, 0, 1]]).repeat(20, 1)
    >>> gram_distance(x, x, 2).value, gram_distance(x, 1 - x, 2).value > 0.3
    (0.0, True)
    """
    theirs = _codes(y, length, end)
    rows = np.arange(len(x)) % _GROUPS
    whole_set = _distance(_codes(x, length, end), theirs)
    groups = min(_GROUPS, len(x))
    if groups < 2:
        return Estimate(whole_set, math.nan, len(x))
    parts = [
        _distance(_codes(x[torch.from_numpy(rows != k)], length, end), theirs)
        for k in range(groups)
    ]
    spread = float(np.std(parts) * (groups - 1) ** 0.5)
    return Estimate(whole_set, spread, len(x))


def longest_copies(x: Tensor, known: Tensor, *, end: int | None = None) -> Tensor:
    """The length of the longest piece of each sequence that a known one has too, `(B,)`.

    By hashes of 64 bits of all pieces of a length, which grows by bisection.

    >>> known = torch.tensor([[0, 1, 2, 3, 4, 5]])
    >>> longest_copies(torch.tensor([[9, 2, 3, 4, 9, 0], [7, 7, 7, 7, 7, 5]]), known)
    tensor([3, 1])
    """
    ours, theirs = _plain(x), _plain(known)
    most = min(ours.shape[1], theirs.shape[1])
    if end is not None:
        # Ends of the two sides never agree, so that no piece goes on behind one.
        ours = np.where(ours == end, -1, ours)
        theirs = np.where(theirs == end, -2, theirs)
    found = np.zeros(len(ours), dtype=np.int64)
    prefixes = _prefixes(ours), _prefixes(theirs)
    step = 1 << most.bit_length() - 1
    while step:
        tried = found + step
        for length in np.unique(tried[tried <= most]):
            rows = np.flatnonzero(tried == length)
            hashes = _pieces(prefixes[0][rows], int(length))
            copied = np.isin(hashes, np.unique(_pieces(prefixes[1], int(length)))).any(1)
            found[rows[copied]] = length
        step //= 2
    return torch.from_numpy(found)


def _plain(x: Tensor) -> NDArray[np.int64]:
    if x.ndim != 2 or x.is_floating_point() or not x.numel():
        raise InputError(f"sequences are integers (B, L), not {x.dtype} {tuple(x.shape)}")
    found: NDArray[np.int64] = x.detach().cpu().numpy()
    return found


def _codes(x: Tensor, length: int, end: int | None) -> NDArray[np.int64]:
    """A number for each gram; of those with the end symbol only those that it ends."""
    symbols, length = _plain(x), whole("length", length)
    if length > symbols.shape[1]:
        raise InputError(f"sequences of {symbols.shape[1]} symbols have no grams of {length}")
    pieces = np.lib.stride_tricks.sliding_window_view(symbols, length, axis=1)
    # The same numbers for both sides: a base that does not depend on what occurs.
    base = 1 << (62 // length)
    if int(symbols.max()) >= base or int(symbols.min()) < 0:
        raise InputError(f"symbols of grams of {length} lie in 0..{base - 1}")
    codes = (pieces * base ** np.arange(length)).sum(-1)
    if end is None:
        return codes.ravel()
    # A gram may end with the end, but nothing follows one, in its row.
    before = np.cumsum(symbols == end, axis=1)[:, length - 1 :] - (pieces[..., -1] == end)
    kept = (before == 0) & ((pieces[..., -1] != end) | (length > 1))
    found: NDArray[np.int64] = codes[kept]
    if not len(found):
        raise InputError(f"no sequence has a gram of {length} symbols")
    return found


def _distance(x: NDArray[np.int64], y: NDArray[np.int64]) -> float:
    kinds, place = np.unique(np.concatenate([x, y]), return_inverse=True)
    first = np.bincount(place[: len(x)], minlength=len(kinds)) / len(x)
    second = np.bincount(place[len(x) :], minlength=len(kinds)) / len(y)
    return float(0.5 * np.abs(first - second).sum())


def _powers(base: int, n: int) -> NDArray[np.uint64]:
    found = np.empty(n, dtype=np.uint64)
    value = 1
    for k in range(n):
        found[k] = value
        value = value * base % 2**64
    return found


def _prefixes(x: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Hashes of the first 0, 1, ... symbols, `(B, L + 1)`, modulo 2^64."""
    terms = (x + 3).astype(np.uint64) * _powers(_BASE, x.shape[1])
    start = np.zeros((len(x), 1), dtype=np.uint64)
    return np.concatenate([start, np.cumsum(terms, axis=1, dtype=np.uint64)], axis=1)


def _pieces(prefixes: NDArray[np.uint64], length: int) -> NDArray[np.uint64]:
    """Hashes of all pieces of a length, which do not depend on where they stand."""
    inverse = pow(_BASE, -1, 2**64)
    n = prefixes.shape[1] - length
    found: NDArray[np.uint64] = (prefixes[:, length:] - prefixes[:, :n]) * _powers(inverse, n)
    return found
