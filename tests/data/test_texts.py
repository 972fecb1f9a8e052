"""Texts as data: what comes in goes out, and what cannot be read is refused in words."""

from __future__ import annotations

import gzip

import pytest
import torch

from pushforward import data
from pushforward.data.alphabet import Alphabet
from pushforward.data.texts import form_of, in_gaps
from pushforward.errors import InputError
from pushforward.spaces import Tokens

PROSE = "It was the best of times, it was the worst of times,\nit was the age of wisdom. " * 5


def _written(path, text: str):
    path.write_bytes(text.encode("utf-8"))
    return path


def test_a_book_is_cut_into_windows_that_are_spelled_again(tmp_path):
    book = _written(tmp_path / "book.txt", PROSE)
    found = data.load(book, window=50)
    assert found.x.shape == (len(PROSE) // 50, 50)
    assert found.x.dtype == torch.int64
    assert "".join(found.schema.alphabet.decode(found.x)) == PROSE[: len(found) * 50]
    assert str(len(PROSE) % 50) in found.notes[0]
    Tokens(found.schema.alphabet.size).check(found.x)
    again = data.load(**found.origin)
    assert again.fingerprint == found.fingerprint
    assert again.schema == found.schema
    assert data.Schema.from_description(found.schema.describe()) == found.schema


def test_a_folder_of_texts_has_the_windows_of_each(tmp_path):
    _written(tmp_path / "b.txt", "b" * 25)
    _written(tmp_path / "a.txt", "a" * 25)
    found = data.load(tmp_path, window=10)
    assert found.schema.alphabet.decode(found.x) == ["a" * 10] * 2 + ["b" * 10] * 2


def test_a_folder_with_something_else_in_it_is_none_of_texts(tmp_path):
    _written(tmp_path / "notes.txt", "of pictures")
    (tmp_path / "cats").mkdir()
    assert form_of(tmp_path) is None
    assert form_of(tmp_path, "text") == "text"
    assert form_of("") is None


def test_lines_have_their_own_length_and_an_end(tmp_path):
    words = ["ant", "bee", "spider", "a"]
    found = data.load(_written(tmp_path / "words.txt", "\n".join(words) + "\n"), kind="lines")
    alphabet = found.schema.alphabet
    assert found.x.shape == (4, 6)
    assert alphabet.end == alphabet.size - 1
    assert alphabet.decode(found.x) == words
    path = tmp_path / "out.txt"
    data.write(path, found.x, space=Tokens(alphabet.size), schema=found.schema)
    assert path.read_text().splitlines() == words


def test_lines_of_one_length_need_no_end(tmp_path):
    found = data.load(_written(tmp_path / "words.txt", "ant\nbee\n"), kind="lines")
    assert found.schema.alphabet.end is None
    assert found.schema.alphabet.size == 5


def test_fasta_comes_out_as_fasta(tmp_path):
    text = ">one first\nACGTAC\nGT\n>two\nacg\n"
    path = tmp_path / "genes.fa.gz"
    path.write_bytes(gzip.compress(text.encode()))
    found = data.load(path)
    assert found.schema.alphabet.symbols == ("A", "C", "G", "T")
    assert found.schema.alphabet.decode(found.x) == ["ACGTACGT", "ACG"]
    out = tmp_path / "out.fasta"
    data.write(out, found.x, space=Tokens(5), schema=found.schema)
    assert out.read_text() == ">sample0\nACGTACGT\n>sample1\nACG\n"
    assert torch.equal(data.load(out, like=found.schema, window=8).x, found.x)


def test_bytes_spell_any_text(tmp_path):
    text = "naïve café — ελληνικά " * 20
    found = data.load(_written(tmp_path / "book.txt", text), alphabet="bytes", window=32)
    assert found.schema.alphabet.size == 256
    whole = found.x.flatten()[None]
    assert found.schema.alphabet.decode(whole)[0][:300] == text[:300]


@pytest.mark.parametrize(
    ("content", "form"),
    [
        ("a b c\nd e f\n", "text"),
        ("1 2\n3 4\n", None),
        ("x,y\n1,2\n3,4\n", None),
        ("height,kind\n1.5,bee\n2.5,ant\n", None),
        ("In 1984 there were\n12 monkeys and a dog that said nothing\n", "text"),
        ("just one line", "text"),
        ("1 2 3", None),
    ],
)
def test_a_table_of_numbers_is_no_text(tmp_path, content, form):
    assert form_of(_written(tmp_path / "some.txt", content)) == form


def test_what_cannot_be_read_is_refused(tmp_path):
    empty = _written(tmp_path / "empty.txt", " \n")
    with pytest.raises(InputError, match="holds no text"):
        data.load(empty, kind="lines")
    short = _written(tmp_path / "short.txt", "too short")
    with pytest.raises(InputError, match="fewer than two windows of 128"):
        data.load(short)
    lines = _written(tmp_path / "lines.txt", "ant\nspiders\n")
    with pytest.raises(InputError, match=r"line 2 has 7 symbols, more than the 5 .*window="):
        data.load(lines, kind="lines", window=5)
    known = data.load(_written(tmp_path / "known.txt", "ant\ntan\n"), kind="lines").schema
    odd = _written(tmp_path / "odd.txt", "ant\nbat\n")
    with pytest.raises(InputError, match=r"line 2: 'b' \(symbol 1\) is none of the 3 symbols"):
        data.load(odd, kind="lines", window=3, like=known)
    with pytest.raises(InputError, match="no end symbol"):
        data.load(_written(tmp_path / "s.txt", "an\n"), kind="lines", window=3, like=known)
    with pytest.raises(InputError, match="begins with a line '>NAME'"):
        data.load(_written(tmp_path / "x.fasta", "ACGT\n"))
    with pytest.raises(InputError, match="record 'b' has no sequence"):
        data.load(_written(tmp_path / "y.fasta", ">a\nA\n>b\n"))
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"caf\xe9 au lait, s'il vous plait")
    with pytest.raises(InputError, match="not in UTF-8"):
        data.load(bad)
    with pytest.raises(InputError, match="alphabet is one of"):
        data.load(short, alphabet="runes")
    with pytest.raises(InputError, match="label= means nothing"):
        data.load(short, label=torch.arange(3))
    with pytest.raises(InputError, match="decimal= means nothing"):
        data.load(short, decimal=",")
    with pytest.raises(InputError, match=r"window=3 means nothing for .* no text"):
        data.load("8gaussians", window=3)


def test_gaps_are_minus_one(tmp_path):
    alphabet = Alphabet(("a", "n", "t"), padded=True, form="lines")
    path = _written(tmp_path / "gaps.txt", "a_t\n__\n")
    assert in_gaps(path, alphabet, 4, "_").tolist() == [[0, -1, 2, 3], [-1, -1, 3, 3]]
    with pytest.raises(InputError, match="'t' is a symbol"):
        in_gaps(path, alphabet, 4, "t")
    with pytest.raises(InputError, match="'_'"):
        in_gaps(path, alphabet, 4, "?")
