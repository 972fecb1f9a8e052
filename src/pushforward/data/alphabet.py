"""The symbols of texts: what they are as numbers, and the texts again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from pushforward.data.byte_pairs import BYTES, Merges, learned_merges, merged, parted, size_of
from pushforward.errors import InputError

__all__ = ["ALPHABETS", "Alphabet", "Form"]

Form = Literal["text", "lines", "fasta"]
"""How texts lie in a file: one long one, one in each line, or records with a name."""

ALPHABETS = ("characters", "bytes", "byte-pairs", "upper")

_SHOWN = 40


@dataclass(frozen=True)
class Alphabet:
    """The symbols of some texts, each with a number, and how the texts lie in their file.

    Args:
        symbols: all of them, each once: characters, or bytes as the characters of these numbers, or
            several of them.
        coding: `characters`; `bytes` of UTF-8, of which any text is made; `byte-pairs`, which are
            bytes and frequent sequences of them; or `upper`, characters whose case is ignored, as
            that of DNA.
        padded: texts of different lengths are followed by an end symbol, whose number is the last.
        form: how the texts lie in their file.
        merges: of byte pairs, how they came about.

    Raises `InputError` for no symbols, or one that is there twice.

    >>> alphabet = Alphabet.of(["an ant", "a bee"], padded=True)
    >>> alphabet.symbols, alphabet.size
    ((' ', 'a', 'b', 'e', 'n', 't'), 7)
    >>> numbers = alphabet.encode(["an", "bee"], 4, ["line 1", "line 2"])
    >>> numbers
    tensor([[1, 4, 6, 6],
            [2, 3, 3, 6]])
    >>> alphabet.decode(numbers)
    ['an', 'bee']
    """

    symbols: tuple[str, ...]
    coding: str = "characters"
    padded: bool = False
    form: Form = "text"
    merges: Merges = ()

    def __post_init__(self) -> None:
        if not self.symbols or len(set(self.symbols)) < len(self.symbols):
            raise InputError("an alphabet has symbols, each once")
        if self.coding != "byte-pairs" and any(len(symbol) != 1 for symbol in self.symbols):
            raise InputError("a symbol of an alphabet is one character")

    @classmethod
    def of(
        cls,
        texts: Iterable[str],
        coding: str = "characters",
        padded: bool = False,
        form: Form = "text",
    ) -> Alphabet:
        """The symbols of texts, sorted; of bytes all 256; of `byte-pairs-SIZE` so many at most.

        Raises `InputError` for empty texts or another `coding`, `MissingExtraError` for byte pairs
        without `tokenizers`.
        """
        size = size_of(coding)
        if size is not None:
            merges = learned_merges((_spelled(text, "bytes") for text in texts), size)
            return cls(merged(merges), "byte-pairs", padded, form, merges)
        if coding not in ALPHABETS:
            raise InputError(f"alphabet is one of {', '.join(ALPHABETS)}, not {coding!r}")
        if coding == "bytes":
            return cls(BYTES, coding, padded, form)
        found: set[str] = set()
        for text in texts:
            found |= set(_spelled(text, coding))
        if not found:
            raise InputError("there is no symbol in these texts: there is nothing to learn from")
        return cls(tuple(sorted(found)), coding, padded, form)

    @property
    def size(self) -> int:
        """How many symbols there are, with that of the end."""
        return len(self.symbols) + self.padded

    @property
    def end(self) -> int | None:
        """The number of the end symbol; `None` for texts of one length."""
        return len(self.symbols) if self.padded else None

    @property
    def of_bytes(self) -> bool:
        """Whether the symbols are bytes, or made of them: any text can be written."""
        return self.coding in ("bytes", "byte-pairs")

    def words(self, length: int) -> str:
        """What texts of so many symbols are.

        >>> Alphabet(("A", "C"), "upper", True, "fasta").words(5)
        'records of up to 5 symbols out of 2'
        """
        noun = {"text": "pieces of text", "lines": "lines", "fasta": "records"}[self.form]
        most = "up to " if self.padded else ""
        return f"{noun} of {most}{length} symbols out of {len(self.symbols)}"

    def spelled_in(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """How many bytes and how many characters of UTF-8 states `(N, length)` spell, `(N,)`.

        A character counts where its first byte is.

        >>> Alphabet.of(["é"], "bytes").spelled_in(torch.tensor([[0xC3, 0xA9, 0x61]]))
        (tensor([3]), tensor([2]))
        """
        spelled = self.symbols if self.of_bytes else [_spelled(s, "bytes") for s in self.symbols]
        counts = [(len(s), sum(not "\x80" <= byte < "\xc0" for byte in s)) for s in spelled]
        table = torch.tensor([*counts, (0, 0)])
        each = table[x.cpu()].sum(1)
        return each[:, 0], each[:, 1]

    def numbers(self, text: str, where: str, gap: str | None = None) -> Tensor:
        """The numbers of the symbols of a text, `(L,)`; -1 for a `gap`, if one is named.

        Each of the pieces between gaps is parted into byte pairs by itself.

        Raises `InputError` for a symbol that is none of the known ones, `where` it is.
        """
        if self.coding == "byte-pairs":
            found: list[int] = []
            for k, piece in enumerate([text] if gap is None else text.split(gap)):
                found += [-1] * bool(k) + parted(_spelled(piece, "bytes"), self.merges)
            return torch.tensor(found, dtype=torch.int64)
        known = {symbol: k for k, symbol in enumerate(self.symbols)}
        if gap is not None:
            known = {**known, gap: -1}
        spelled = _spelled(text, self.coding)
        try:
            return torch.tensor([known[symbol] for symbol in spelled], dtype=torch.int64)
        except KeyError as error:
            odd = error.args[0]
            at = spelled.index(odd)
            line = spelled.count("\n", 0, at) + 1
            place = f"{where}, line {line}" if "\n" in spelled else where
            shown = "".join(self.symbols[:_SHOWN]) + ("..." if len(self.symbols) > _SHOWN else "")
            raise InputError(
                f"{place}: {odd!r} (symbol {at + 1}) is none of the {len(self.symbols)} symbols "
                f"that are known: {shown!r}; alphabet=bytes, chosen before training, knows any"
            ) from None

    def encode(
        self, texts: list[str], length: int, where: list[str], gap: str | None = None
    ) -> Tensor:
        """Numbers `(N, length)` of texts, int64, those that are shorter followed by end symbols.

        Raises `InputError` for an unknown symbol, a text that is too long, or one that is too short
        where there is no end symbol.
        """
        out = torch.full((len(texts), length), self.size - 1, dtype=torch.int64)
        for row, text in enumerate(texts):
            found = self.numbers(text, where[row], gap)
            if len(found) > length:
                raise InputError(
                    f"{where[row]} has {len(found)} symbols, more than the {length} of the "
                    "window: cut it, or load with a larger window="
                )
            if len(found) < length and not self.padded:
                raise InputError(
                    f"{where[row]} has {len(found)} symbols where all others have {length}, and "
                    "the alphabet has no end symbol"
                )
            out[row, : len(found)] = found
        return out

    def decode(self, x: Tensor) -> list[str]:
        """Texts of numbers `(N, length)`, cut at the first end symbol."""
        found = []
        for row in x.detach().cpu().tolist():
            if self.padded and len(self.symbols) in row:
                row = row[: row.index(len(self.symbols))]
            text = "".join(self.symbols[k] for k in row)
            if self.of_bytes:
                text = text.encode("latin-1").decode("utf-8", errors="replace")
            found.append(text)
        return found

    def describe(self) -> dict[str, Any]:
        """Plain values that YAML and JSON hold."""
        symbols = None if self.of_bytes else list(self.symbols)
        described = {"symbols": symbols, "coding": self.coding, "padded": self.padded,
                     "form": self.form}  # fmt: skip
        return described | ({"merges": [list(pair) for pair in self.merges]} if self.merges else {})

    @classmethod
    def from_description(cls, described: Mapping[str, Any]) -> Alphabet:
        """The alphabet that `describe` described."""
        symbols = described["symbols"]
        merges = tuple((int(a), int(b)) for a, b in described.get("merges") or ())
        known = merged(merges) if symbols is None else tuple(symbols)
        return cls(known, described["coding"], described["padded"], described["form"], merges)


def _spelled(text: str, coding: str) -> str:
    """A text as its symbols, a character each."""
    if coding == "bytes":
        return text.encode("utf-8").decode("latin-1")
    return text.upper() if coding == "upper" else text
