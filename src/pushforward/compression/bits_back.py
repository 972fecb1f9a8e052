r"""Bits-back coding with asymmetric numeral systems (Townsend, Bird & Barber 2019).

A latent variable model codes `x` at the cost of its negative evidence lower bound: a latent `z` is
*decoded* with `q(z | x)` from the bits written so far, then `x` is coded with `p(x | z)` and `z`
with `p(z)`. The receiver goes back, and codes `z` with `q(z | x)` to return the bits borrowed:

    -log2 p(x | z) - log2 p(z) + log2 q(z | x)

on average. Latents live on a grid whose width cancels between the two; it is below the posterior's
standard deviation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from pushforward._extras import require
from pushforward.errors import InputError

__all__ = ["LatentCode", "decode", "encode"]

Progress = Callable[[int, int], None]

_CELLS = 1 << 8
"""Cells of the latent grid per standard deviation of the prior."""

_REACH = 8
"""Standard deviations of the prior that the grid covers to each side."""

_WINDOW = 8
"""Standard deviations of the posterior that its part of the grid covers to each side.

A coder leaves every cell it covers 2^-24 at least. Over the whole grid that would be enough for a
latent in some thousands to be drawn from anywhere, which costs a picture more than its own size.
"""

_SPARE = 64

_WORD = 1 << 16


class LatentCode(Protocol):
    """What a model of levels has to say for its data to be coded."""

    @property
    def latent(self) -> int:
        """The number of latents, standard normal before anything is known."""

    @property
    def size(self) -> int:
        """How many levels a state has."""

    @property
    def levels(self) -> int:
        """How many values each of them takes: 0 to `levels - 1`."""

    def posterior(self, levels: Tensor) -> tuple[Tensor, Tensor]:
        """Means and standard deviations of the latents of states `(1, size)`, both `(latent,)`."""

    def probabilities(self, z: Tensor) -> Tensor:
        """The probability of each level given latents `(1, latent)`: `(size, levels)`."""


def encode(
    code: LatentCode, states: Tensor, progress: Progress | None = None
) -> np.ndarray[Any, Any]:
    """The code of states `(n, size)` of integers below `levels`, as 32-bit words.

    One state after the other: each borrows its bits from those before.
    """
    ans = require("constriction", extra="compress", purpose="compress").stream
    borrowed = _first(code.latent)
    coder = ans.stack.AnsCoder(borrowed, False)
    for k, state in enumerate(states):
        _stir(ans, coder, k, code.latent)
        z = np.array(
            [coder.decode(distribution) for distribution in _cells(ans, code, state)],
            dtype=np.int32,
        )
        _put(ans, coder, code, state, z)
        if progress is not None:
            progress(k + 1, len(states))
    words: np.ndarray[Any, Any] = coder.get_compressed()
    same = words[: len(borrowed)] == borrowed[: len(words)]
    # What was lent and never used lies at the bottom still; the receiver knows it.
    kept = len(same) if same.all() else int(np.argmin(same))
    return np.concatenate([np.array([kept], dtype=np.uint32), words[kept:]])


def decode(
    code: LatentCode, words: np.ndarray[Any, Any], n: int, progress: Progress | None = None
) -> Tensor:
    """The `n` states that `encode` wrote, `(n, size)`.

    Raises `InputError` unless the bits lent at the beginning come back: then the words, or what the
    model says, are not those of the encoder; and for words that do not last for `n` states.
    """
    ans = require("constriction", extra="compress", purpose="decompress").stream
    borrowed = _first(code.latent)
    kept = int(words[0])
    if kept > len(borrowed) or (len(words) > 1 and words[-1] == 0):
        raise InputError("no code begins or ends like this one: the file is damaged or forged")
    coder = ans.stack.AnsCoder(np.concatenate([borrowed[:kept], words[1:]]), False)
    most = 2 * (len(borrowed) + len(words))
    states = []
    for k in range(n):
        # What is borrowed is never used up: beyond it, the coder goes on with zeros forever. Nor do
        # states give back more than they took.
        if coder.is_empty() or coder.num_words() > most:
            raise InputError(f"the code is not one of {n} states: the file is forged")
        z = coder.decode(_prior(ans), code.latent)
        state = torch.from_numpy(coder.decode(*_levels(ans, code, z))).long()
        for cell, distribution in reversed(
            list(zip(z.tolist(), _cells(ans, code, state), strict=True))
        ):
            try:
                coder.encode_reverse(cell, distribution)
            except KeyError:
                # The sender drew the latents from where they have some probability.
                raise InputError(f"the code is not one of {n} states: it is forged") from None
        _stir(ans, coder, n - 1 - k, -code.latent)
        states.append(state)
        if progress is not None:
            progress(k + 1, n)
    rest = coder.get_compressed()
    if len(rest) != len(borrowed) or not (rest == borrowed).all():
        raise InputError(
            "the code does not end as it began: the file is damaged, or this machine's arithmetic "
            "gives other probabilities than the one that wrote it"
        )
    return torch.stack(states[::-1])


def _put(ans: Any, coder: Any, code: LatentCode, state: Tensor, z: np.ndarray[Any, Any]) -> None:
    coder.encode_reverse(state.numpy().astype(np.int32), *_levels(ans, code, z))
    coder.encode_reverse(z, _prior(ans))


def _stir(ans: Any, coder: Any, k: int, latent: int) -> None:
    """Add random numbers, known to both sides, to the topmost bits; take them away if negative.

    They are those of the last state's latents, which look like the prior's only where the model is
    right. Latents drawn from them as they are would not look like the posterior.
    """
    if k == 0:
        return  # what is borrowed first is random already
    uniform = ans.model.Uniform(_WORD)
    offsets = np.random.Generator(np.random.PCG64(k)).integers(0, _WORD, size=abs(latent) + 2)
    top = coder.decode(uniform, len(offsets)).astype(np.int64)
    top = (top + np.sign(latent) * offsets) % _WORD
    coder.encode_reverse(top.astype(np.int32), uniform)


def _prior(ans: Any) -> Any:
    reach = _REACH * _CELLS
    return ans.model.QuantizedGaussian(-reach, reach, 0.0, float(_CELLS))


def _cells(ans: Any, code: LatentCode, state: Tensor) -> list[Any]:
    """The distribution of the cell of each latent given a state."""
    mean, std = code.posterior(state.unsqueeze(0))
    reach = _REACH * _CELLS
    # Rounded, so that the last digits of two machines' arithmetic matter less.
    mean = (mean.double() * _CELLS).round().clamp(-reach, reach)
    std = (std.double() * _CELLS * 16).round().clamp(min=1) / 16
    window = (_WINDOW * std).ceil()
    low, high = (mean - window).clamp(min=-reach), (mean + window).clamp(max=reach)
    rows = torch.stack([low, high, mean, std], -1).tolist()
    return [ans.model.QuantizedGaussian(int(a), int(b), m, s) for a, b, m, s in rows]


def _levels(ans: Any, code: LatentCode, z: np.ndarray[Any, Any]) -> tuple[Any, ...]:
    """The distribution of the levels given the cells of the latents."""
    latents = torch.from_numpy(z / _CELLS).unsqueeze(0)
    p = code.probabilities(latents).double().cpu().numpy()
    return ans.model.Categorical(perfect=False), np.ascontiguousarray(p)


def _first(latent: int) -> np.ndarray[Any, Any]:
    """Bits to borrow before any are written: the same for sender and receiver."""
    return np.random.Generator(np.random.PCG64(0)).integers(
        1, 1 << 32, size=latent + _SPARE, dtype=np.uint32
    )
