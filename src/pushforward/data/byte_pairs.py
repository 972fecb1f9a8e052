"""Byte pairs: frequent pieces of a text as symbols, by the library `tokenizers`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from pushforward import checks
from pushforward._extras import require
from pushforward.errors import InputError

__all__ = ["BYTES", "Merges", "learned_merges", "merged", "parted", "size_of"]

Merges = tuple[tuple[int, int], ...]
"""Which two symbols, by their numbers, become one, in the order in which they were learned."""

BYTES = tuple(map(chr, range(256)))
"""All bytes, as the characters of these numbers."""

_NAME, _SIZE = "byte-pairs", 1024
# A word with the space before it, or nothing but spaces: no symbol goes on from one to the next.
_WORDS = "[ \t\n\r]?[^ \t\n\r]+|[ \t\n\r]+"


def size_of(alphabet: str) -> int | None:
    """How many symbols `byte-pairs` or `byte-pairs-SIZE` asks for; `None` for another alphabet.

    Raises `InputError` for a size that is no whole number of 257 or more.

    >>> size_of("byte-pairs"), size_of("byte-pairs-300"), size_of("bytes")
    (1024, 300, None)
    """
    name, _, said = alphabet.partition(f"{_NAME}-")
    if alphabet == _NAME:
        return _SIZE
    if name or not said:
        return None
    if not said.isdecimal():
        raise InputError(f"{_NAME}-SIZE says how many symbols there are, not {said!r}")
    return checks.whole("the size of byte-pairs", int(said), least=257)


def learned_merges(texts: Iterable[str], size: int) -> Merges:
    """The pairs of a text that are merged one after the other, the most frequent first, until there
    are `size` symbols (Sennrich, Haddow & Birch 2016), or no pair is left that occurs twice.

    Args:
        texts: their bytes, as the characters of these numbers.
        size: how many symbols there are with the 256 bytes.

    Raises `MissingExtraError` without `tokenizers`.
    """
    library = _library()
    made = _over(library, library.models.BPE())
    trainer = library.trainers.BpeTrainer(
        vocab_size=size, min_frequency=2, initial_alphabet=list(BYTES), special_tokens=[],
        show_progress=False,
    )  # fmt: skip
    made.train_from_iterator(texts, trainer)
    numbers = {symbol: k for k, symbol in enumerate(BYTES)}
    found = []
    for first, second in json.loads(made.to_str())["model"]["merges"]:
        found.append((numbers[first], numbers[second]))
        numbers.setdefault(first + second, len(numbers))
    return tuple(found)


def merged(merges: Merges) -> tuple[str, ...]:
    """The symbols: all bytes, then what the merges make, each once.

    >>> merged(((97, 98), (256, 99)))[256:]
    ('ab', 'abc')
    """
    symbols = dict.fromkeys(BYTES)
    known = list(BYTES)
    for first, second in merges:
        if not (0 <= first < len(known) and 0 <= second < len(known)):
            raise InputError(
                f"a byte pair merges symbols that are there, not {first} and {second} of "
                f"{len(known)}"
            )
        if (new := known[first] + known[second]) not in symbols:
            symbols[new] = None
            known.append(new)
    return tuple(known)


def parted(text: str, merges: Merges) -> list[int]:
    """The numbers of the symbols of a text of bytes. Raises `MissingExtraError`."""
    numbers: list[int] = _encoder(merges).encode(text).ids
    return numbers


@lru_cache(maxsize=8)
def _encoder(merges: Merges) -> Any:
    library, symbols = _library(), merged(merges)
    pairs = [(symbols[first], symbols[second]) for first, second in merges]
    vocabulary = {symbol: k for k, symbol in enumerate(symbols)}
    return _over(library, library.models.BPE(vocabulary, pairs))


def _over(library: Any, model: Any) -> Any:
    """A model on the words of a text."""
    made = library.Tokenizer(model)
    words = library.Regex(_WORDS)
    made.pre_tokenizer = library.pre_tokenizers.Split(words, "isolated")
    return made


def _library() -> Any:
    return require("tokenizers", extra="text", purpose="part texts into byte pairs")
