"""Sequences of discrete symbols, with one extra symbol for what has been masked."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.config import configurable
from pushforward.errors import InputError

__all__ = ["Tokens"]


@configurable
@dataclass(frozen=True)
class Tokens:
    """Integer states `(B, sites)` with values below `vocabulary`; `vocabulary` itself is the mask.

    >>> Tokens(3).mask
    3
    """

    vocabulary: int

    def __post_init__(self) -> None:
        if not isinstance(self.vocabulary, int) or self.vocabulary < 1:
            raise InputError(
                f"a vocabulary has a whole number of symbols, at least one, not {self.vocabulary}"
            )

    @property
    def mask(self) -> int:
        """The symbol that stands for a masked site."""
        return self.vocabulary

    def where(self, fired: Tensor, new: Tensor, old: Tensor) -> Tensor:
        """`new` at the sites that fired, `old` elsewhere."""
        return torch.where(fired, new, old)
