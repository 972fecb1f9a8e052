"""Byte pairs: any text comes back as it was, and what frequent pieces cost in other units."""

from __future__ import annotations

import json
import math
import sys

import pytest
import torch

from pushforward import data
from pushforward.data.alphabet import Alphabet
from pushforward.data.byte_pairs import learned_merges, merged, parted
from pushforward.data.texts import in_gaps
from pushforward.errors import InputError, MissingExtraError

PROSE = "To be, or not to be, that is the question:\n  whether 'tis nobler — naïve café.\n" * 30
ODD = "héllo ☃ \x00\t \x85x\n\n two  spaces   and 漢字 🙂"


def test_what_a_few_merges_make_is_known():
    # 'ab' occurs six times, then 'abc' three times; what occurs once is no pair.
    merges = learned_merges(["abc abc abc ab ab ab xy"], 300)
    symbols = merged(merges)
    assert symbols[256] == "ab"
    assert {"abc", " ab", " abc"} >= set(symbols[257:])
    assert "xy" not in symbols
    # No symbol goes on from one word to the next.
    assert not any(" " in symbol[1:] for symbol in symbols)
    assert learned_merges(["abc abc abc ab ab ab xy"], 257) == ((97, 98),)
    assert [symbols[k] for k in parted("abx", merges)] == ["ab", "x"]


@pytest.mark.parametrize("size", [257, 300, 400])
def test_any_text_comes_back(size):
    alphabet = Alphabet.of([PROSE], f"byte-pairs-{size}")
    assert alphabet.size <= size
    again = Alphabet.from_description(json.loads(json.dumps(alphabet.describe())))
    assert again == alphabet
    for text in (PROSE, ODD, "".join(map(chr, range(1, 3000)))):
        numbers = again.numbers(text, "here")
        assert alphabet.decode(numbers[None]) == [text]
        many, characters = alphabet.spelled_in(numbers[None])
        assert (int(many), int(characters)) == (len(text.encode()), len(text))
    # Shorter than its bytes, the more so the more symbols there are.
    assert len(alphabet.numbers(PROSE, "here")) < len(PROSE.encode()) * (
        0.97 if size < 300 else 0.6
    )


def test_a_text_of_byte_pairs_is_read_written_and_has_gaps(tmp_path):
    book = tmp_path / "book.txt"
    book.write_text(PROSE, encoding="utf-8")
    found = data.load(book, alphabet="byte-pairs-320", window=16)
    alphabet = found.schema.alphabet
    assert PROSE.encode().startswith("".join(map(alphabet.symbols.__getitem__,
                                                 found.x.flatten())).encode("latin-1"))  # fmt: skip
    assert data.load(**found.origin).schema == found.schema
    assert data.Schema.from_description(found.schema.describe()) == found.schema
    other = tmp_path / "other.txt"
    other.write_text(ODD * 20, encoding="utf-8")
    assert data.load(other, like=found.schema, window=16).schema.alphabet == alphabet
    lines = tmp_path / "lines.txt"
    lines.write_text("to be\nnot\nthat is 漢\n", encoding="utf-8")
    held = data.load(lines, kind="lines", alphabet="byte-pairs-260")
    assert held.schema.alphabet.decode(held.x) == ["to be", "not", "that is 漢"]
    (tmp_path / "gaps.txt").write_text("to be_that_", encoding="utf-8")
    gaps = in_gaps(tmp_path / "gaps.txt", alphabet, 16, "_")[0]
    known = [parted("to be", alphabet.merges), parted("that", alphabet.merges)]
    wanted = [*known[0], -1, *known[1]]
    assert gaps.tolist() == wanted + [-1] * (16 - len(wanted))


def test_bits_of_bytes_and_characters_are_those_of_all_symbols():
    from pushforward.cli.logprob import _bits_spelled
    from pushforward.data.dataset import Data
    from pushforward.data.schema import Schema
    from pushforward.estimates import LogProb

    # 'é' of two bytes and 'ab' as symbols, beside the 256 bytes; the end spells nothing.
    merges = ((0xC3, 0xA9), (97, 98))
    alphabet = Alphabet(merged(merges), "byte-pairs", padded=True, merges=merges)
    x = torch.tensor([[256, 257, 97], [97, 258, 258]])
    each = alphabet.spelled_in(x)
    assert [part.tolist() for part in each] == [[5, 1], [4, 1]]
    data_of_pairs = Data(x, kind="state", schema=Schema(alphabet=alphabet))
    value = torch.tensor([-10.0, -2.0], dtype=torch.float64) * math.log(2)
    found = _bits_spelled(LogProb(value, torch.zeros(2), "bound", nfe=1), data_of_pairs)
    # Two bits a byte in both texts; per character the first costs .1 more than 12 / 5 * 4.
    assert found["byte"] == pytest.approx((2.0, 0.0))
    assert found["character"] == pytest.approx((12 / 5, math.sqrt(2 * 0.4**2) / 5))


def test_without_the_library_a_hint_comes_and_what_was_learned_is_still_spelled(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'pushforward\[text\]'"):
        Alphabet.of(["to be"], "byte-pairs")
    described = {"symbols": None, "coding": "byte-pairs", "padded": False, "form": "text",
                 "merges": [[97, 98], [256, 99]]}  # fmt: skip
    alphabet = Alphabet.from_description(described)
    assert alphabet.size == 258
    assert alphabet.decode(torch.tensor([[257, 100, 256]])) == ["abcdab"]


@pytest.mark.parametrize("name", ["byte-pairs-12", "byte-pairs-many", "byte-pairs-"])
def test_a_size_that_is_none_is_refused(name):
    with pytest.raises(InputError, match="byte-pairs"):
        Alphabet.of(["to be"], name)


def test_merges_of_symbols_that_are_not_there_are_refused():
    with pytest.raises(InputError, match="999"):
        merged(((97, 999),))
