"""Words as numbers: what a text model reads, and the texts again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor

from pushforward import checks
from pushforward.errors import InputError

__all__ = ["NO_WORD", "Vocabulary"]

NO_WORD = -1
"""The number that stands for no word: behind the end of a text, and all over an empty one."""

_WORD = re.compile(r"\w+(?:['’-]\w+)*")
_SHOWN = 60


@dataclass(frozen=True)
class Vocabulary:
    """The words of some texts, and how many words a text may have.

    Words are split at spaces and punctuation, and case is ignored.

    Args:
        words: all of them, each once; word `k` has the number `k`.
        length: the most words of a text.

    Raises `InputError` for no words, what is no word, or a word that is there twice.

    >>> vocabulary = Vocabulary.of(["a red square", "a circle"])
    >>> vocabulary.words, vocabulary.length
    (('a', 'circle', 'red', 'square'), 3)
    >>> vocabulary.encode(["A red circle.", "a square"])
    tensor([[ 0,  2,  1],
            [ 0,  3, -1]])
    >>> vocabulary.decode(torch.tensor([[0, 3, -1]]))
    ['a square']
    """

    words: tuple[str, ...]
    length: int

    def __post_init__(self) -> None:
        words = tuple(self.words)
        object.__setattr__(self, "words", words)
        checks.whole("length", self.length)
        if not words:
            raise InputError("a vocabulary has at least one word")
        for word in words:
            if not isinstance(word, str) or split(word) != [word]:
                raise InputError(f"{word!r} is not one word in lower case")
        if len(set(words)) < len(words):
            raise InputError(f"the words {words} are not all different")

    @classmethod
    def of(cls, texts: Iterable[str], length: int | None = None) -> Vocabulary:
        """The words of texts, sorted; `length` is that of the longest by default.

        Raises `InputError` for texts without a word.
        """
        found = [split(text) for text in texts]
        words = sorted({word for one in found for word in one})
        longest = max((len(one) for one in found), default=1)
        return cls(tuple(words), max(1, longest) if length is None else length)

    def encode(self, texts: Sequence[str]) -> Tensor:
        """The numbers of the words of texts, `(N, length)`, int64; an empty text is all -1.

        Raises `InputError` for a word that is not among the known ones, which it lists, and for a
        text that is too long.
        """
        numbers = {word: k for k, word in enumerate(self.words)}
        out = torch.full((len(texts), self.length), NO_WORD, dtype=torch.int64)
        for row, text in enumerate(texts):
            if not isinstance(text, str):
                raise InputError(f"a text is a string, not {text!r}")
            words = split(text)
            for word in words:
                if word not in numbers:
                    raise InputError(self._unknown(word, text))
            if len(words) > self.length:
                raise InputError(
                    f"{text!r} has {len(words)} words, and the longest text that the model knows "
                    f"{self.length}"
                )
            out[row, : len(words)] = torch.tensor([numbers[word] for word in words])
        return out

    def decode(self, tokens: Tensor) -> list[str]:
        """Texts of numbers `(N, length)`, without what was between the words."""
        return [
            " ".join(self.words[k] for k in row if k != NO_WORD)
            for row in tokens.detach().cpu().tolist()
        ]

    def tokens(self, c: Any, n: int, device: torch.device) -> Tensor:
        """Numbers `(n, length)` from one text for all, a text for each of `n` states, or numbers.

        Raises `InputError` for what is neither, or does not fit.
        """
        if isinstance(c, str):
            c = [c]
        if isinstance(c, Sequence) and all(isinstance(text, str) for text in c):
            found = self.encode(c)
        elif isinstance(c, Tensor) and not c.is_floating_point() and c.ndim in (1, 2):
            found = c.long().reshape(-1, c.shape[-1])
        else:
            what = f"{c.dtype} {tuple(c.shape)}" if isinstance(c, Tensor) else repr(c)
            raise InputError(
                f"this model takes texts: a string for all, a list of {n} strings, or the numbers "
                f"of their words ({n}, {self.length}), not {what}"
            )
        if len(found) not in (1, n) or found.shape[1] != self.length:
            raise InputError(
                f"{n} states need one text or {n}, of {self.length} numbers each, not "
                f"{tuple(found.shape)}"
            )
        # On a GPU a look at the values would make every training step wait.
        if found.numel() and (found.device.type == "cpu" or not torch.is_grad_enabled()):
            low, high = int(found.min()), int(found.max())
            if low < NO_WORD or high >= len(self.words):
                raise InputError(
                    f"numbers of words lie in {NO_WORD}..{len(self.words) - 1}, not in "
                    f"{low}..{high}"
                )
        return found.to(device).expand(n, self.length)

    def _unknown(self, word: str, text: str) -> str:
        near = get_close_matches(word, self.words, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        known = ", ".join(self.words[:_SHOWN]) + (", ..." if len(self.words) > _SHOWN else "")
        return f"{word!r} in {text!r} is none of the words that the model knows{hint}: {known}"


def split(text: str) -> list[str]:
    """The words of a text, in lower case.

    >>> split("A red square, left of it a circle!")
    ['a', 'red', 'square', 'left', 'of', 'it', 'a', 'circle']
    """
    return _WORD.findall(text.lower())
