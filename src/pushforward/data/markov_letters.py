"""A language of letters whose law is known: a Markov chain with an exact entropy."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.data.alphabet import Alphabet

__all__ = ["alphabet_of", "entropy_bits", "log_prob", "markov_letters", "transitions"]

_LETTERS = " abcdefghijklmnopqrstuvwxyz"
LENGTH = 32
"""Letters of a sequence."""


def alphabet_of(name: object) -> Alphabet | None:
    """The symbols of built-in data of a name; `None` for those that are none.

    >>> alphabet_of("markov-letters").size, alphabet_of("two_moons")
    (27, None)
    """
    return Alphabet(tuple(_LETTERS)) if name == "markov-letters" else None


def transitions() -> tuple[Tensor, Tensor]:
    """The stationary distribution `(27,)` and the chances of the next letter `(27, 27)`.

    A fixed matrix, `softmax(3 sin(13 i + 78 j + 0.37 i j))` over `j`, whose entropy rate is about
    that of written English by its pairs of letters.
    """
    i = torch.arange(len(_LETTERS), dtype=torch.float64)
    chances = (3 * torch.sin(13 * i[:, None] + 78 * i + 0.37 * i[:, None] * i)).softmax(-1)
    power = chances
    for _ in range(8):
        power = power @ power
    return power[0] / power[0].sum(), chances


def entropy_bits(length: int = LENGTH) -> tuple[float, float]:
    """The exact entropy of a sequence per letter, and the entropy rate of the chain, in bits.

    >>> per_letter, rate = entropy_bits()
    >>> per_letter > rate
    True
    """
    start, chances = transitions()
    rate = float(-(start[:, None] * chances * chances.log2()).sum())
    first = float(-(start * start.log2()).sum())
    return (first + (length - 1) * rate) / length, rate


def log_prob(x: Tensor) -> Tensor:
    """The exact log-probability of sequences `(B, L)` in nats, `(B,)`."""
    start, chances = transitions()
    return start[x[:, 0]].log() + chances[x[:, :-1], x[:, 1:]].log().sum(1)


def markov_letters(n: int, generator: torch.Generator | None = None) -> tuple[Tensor, None]:
    """`n` sequences of 32 letters from the stationary chain, `(n, 32)`, drawn in double precision.

    >>> x, _ = markov_letters(3, torch.Generator().manual_seed(0))
    >>> x.shape, x.dtype
    (torch.Size([3, 32]), torch.int64)
    """
    generator = resolve(None, generator)
    start, chances = transitions()
    u = torch.rand(LENGTH, n, dtype=torch.float64, generator=generator)
    edges = chances.cumsum(-1)
    edges[:, -1] = 1
    x = torch.empty(n, LENGTH, dtype=torch.int64)
    first = start.cumsum(0)
    first[-1] = 1
    x[:, 0] = torch.searchsorted(first, u[0], right=True)
    for k in range(1, LENGTH):
        x[:, k] = torch.searchsorted(edges[x[:, k - 1]], u[k, :, None], right=True).squeeze(1)
    return x, None
