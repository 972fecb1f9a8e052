"""Texts of two files with the symbols of both, as a model between them needs them."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from pushforward.data.alphabet import Alphabet
from pushforward.data.dataset import Data
from pushforward.errors import InputError

__all__ = ["joined_texts"]

_SHOWN = 20


def joined_texts(data: Data, source: Data) -> tuple[Data, Data]:
    """Two sets of texts as states of one length, in an alphabet of the symbols of both.

    Texts that are shorter than the longest of either set are followed by end symbols. Windows of
    long texts have one length already. What either set lacks is said in the notes of the first.

    Args:
        data: texts, as `data.load` reads them.
        source: others, in symbols of the same kind.

    Raises `InputError` for what is no text, for symbols of two kinds, such as bytes and characters,
    and for windows of two lengths.

    >>> import tempfile, pushforward as pf
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     places = [Path(folder, f"{name}.txt") for name in ("birds", "beasts")]
    ...     for place, words in zip(places, ("owl\\nwren\\n", "cow\\nox\\n")):
    ...         _ = place.write_text(words)
    ...     birds, beasts = joined_texts(*(pf.data.load(place, kind="lines") for place in places))
    >>> "".join(birds.schema.alphabet.symbols), birds.x.shape, beasts.x.shape
    ('celnorwx', torch.Size([2, 4]), torch.Size([2, 4]))
    """
    first, second = _alphabet(data), _alphabet(source)
    for what, one, other in (
        ("symbols", first.coding, second.coding),
        ("texts", first.form, second.form),
    ):
        if one != other:
            raise InputError(
                f"{data.name} has {what} that are {one}, and {source.name} {other}: a model "
                "between two sets of texts reads both in the same way"
            )
    if first.merges != second.merges:
        raise InputError(
            f"{data.name} and {source.name} have byte pairs of their own: load the second with "
            "like= the first"
        )
    lengths = data.x.shape[1], source.x.shape[1]
    if first.form == "text" and len(set(lengths)) > 1:
        raise InputError(
            f"{data.name} has windows of {lengths[0]} symbols, and {source.name} of {lengths[1]}: "
            "load both with the same window="
        )
    both = first.symbols
    if not first.of_bytes:
        both = tuple(sorted({*first.symbols, *second.symbols}))
    padded = first.padded or second.padded or len(set(lengths)) > 1
    alphabet = replace(first, symbols=both, padded=padded)
    made = [_in(part, alphabet, max(lengths)) for part in (data, source)]
    notes = [
        f"{part.name} has no {_shown(lacking)} of {other.name}: the model knows the "
        f"{len(both)} symbols of both"
        for part, other, own in ((data, source, first), (source, data, second))
        if (lacking := [symbol for symbol in both if symbol not in own.symbols])
    ]
    return replace(made[0], notes=(*made[0].notes, *notes)), made[1]


def _alphabet(data: Data) -> Alphabet:
    found = data.schema.alphabet
    if found is None or not isinstance(data.x, Tensor):
        raise InputError(f"{data.name} is no text: both sides of a map between texts are")
    return found


def _in(data: Data, alphabet: Alphabet, length: int) -> Data:
    """Texts in the symbols of another alphabet, which has all of theirs, and of some length."""
    own = _alphabet(data)
    number = {symbol: k for k, symbol in enumerate(alphabet.symbols)}
    end = len(alphabet.symbols)
    table = torch.tensor([*(number[symbol] for symbol in own.symbols), end])
    x = torch.full((len(data), length), end)
    x[:, : data.x.shape[1]] = table[data.x]
    return replace(
        data,
        x=x,
        schema=replace(data.schema, alphabet=alphabet),
        states=alphabet.words(length),
        origin=None if data.origin is None else {**data.origin, "window": length},
    )


def _shown(symbols: list[str]) -> str:
    more = "..." if len(symbols) > _SHOWN else ""
    return repr("".join(symbols[:_SHOWN]) + more)
