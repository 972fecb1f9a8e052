"""Sequences of discrete symbols, with one extra symbol for what has been masked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from pushforward import checks, state
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.spaces.space import JumpSpace
from pushforward.spaces.views import Sequences, View

__all__ = ["Tokens"]

_FEW_STATES = 256
"""States whose frequencies can be told from a few thousand draws."""


@configurable
@dataclass(frozen=True)
class Tokens(JumpSpace[Tensor]):
    """Integer states `(B, sites)` with values below `vocabulary`; `vocabulary` itself is the mask.

    Args:
        vocabulary: the number of symbols.
        sites: how many symbols a state has, where a table has columns for other things too.

    >>> Tokens(3).mask
    3
    """

    vocabulary: int
    sites: int | None = None

    def __post_init__(self) -> None:
        checks.whole("vocabulary", self.vocabulary)

    @property
    def mask(self) -> int:
        """The symbol that stands for a masked site."""
        return self.vocabulary

    @property
    def alphabets(self) -> tuple[int, ...] | None:
        """How many of the symbols each site has, where that is not all of them."""
        return None

    def check(self, x: Tensor) -> None:
        """Integers `(B, *sites)` from 0 to `vocabulary - 1`."""
        if not isinstance(x, Tensor) or x.dtype != torch.int64:
            kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
            raise InputError(f"tokens are integers of 64 bits, not {kind}: use x.long()")
        if x.ndim < 2:
            raise InputError(f"tokens have shape (B, sites), not {tuple(x.shape)}")
        if self.sites is not None and tuple(x.shape[1:]) != (self.sites,):
            raise InputError(f"states have {self.sites} tokens, not {tuple(x.shape[1:])}")
        if x.numel():
            low, high = int(x.min()), int(x.max())
            if low < 0 or high >= self.vocabulary:
                raise InputError(
                    f"tokens lie in 0..{self.vocabulary - 1}, not in {low}..{high}: code them, or "
                    "give a larger vocabulary"
                )

    def from_arrays(self, arrays: Any) -> Tensor:
        """Integers, from whole numbers of any type."""
        if isinstance(arrays, Tensor) and arrays.is_floating_point():
            whole = arrays == arrays.round()
            if not bool(whole.all()):
                wrong = float(arrays[~whole].flatten()[0])
                raise InputError(f"tokens are whole numbers, but one is {wrong:g}")
            arrays = arrays.long()
        return super().from_arrays(arrays)

    def where(self, fired: Tensor, new: Tensor, old: Tensor) -> Tensor:
        """`new` at the sites that fired, `old` elsewhere."""
        return torch.where(fired, new, old)

    def features(self, x: Tensor) -> Tensor:
        """One-hot codes of the symbols, site by site."""
        return functional.one_hot(x, self.vocabulary).flatten(1).float()

    def embed(self, x: Tensor) -> Tensor:
        """One-hot codes with the mask as a symbol of its own."""
        return functional.one_hot(x, self.vocabulary + 1).flatten(1).float()

    def views(self, x: Tensor) -> tuple[View, ...]:
        """A cell for each symbol."""
        return (Sequences(x.flatten(1), self.vocabulary),)

    def categories(self, x: Tensor) -> dict[str, Tensor]:
        """The symbols of all sites together, and whole states where there are few of them."""
        flat = x.flatten(1)
        found = {"symbols": flat.flatten()}
        kinds = self.vocabulary ** flat.shape[1]
        if kinds <= _FEW_STATES:
            place = self.vocabulary ** torch.arange(flat.shape[1], device=x.device)
            found["whole states"] = (flat * place).sum(1)
        return found

    @property
    def width(self) -> int | None:
        """`sites`."""
        return self.sites

    def to_table(self, x: Tensor) -> tuple[Tensor, tuple[str, ...]]:
        """One column a site."""
        flat = x.flatten(1)
        return flat, tuple(f"token{k}" for k in range(flat.shape[1]))

    def describe_states(self, event_shape: state.EventShape) -> str:
        """Tokens, or sequences of so many, out of so many symbols."""
        many = f"sequences of {' x '.join(map(str, event_shape))} " if event_shape != (1,) else ""
        return f"{many}tokens out of {self.vocabulary} symbols"
