"""Texts of two files in the symbols of both."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pushforward.data import Data, joined_texts, load
from pushforward.errors import InputError


def _lines(folder: Path, name: str, *lines: str) -> Path:
    path = folder / f"{name}.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_both_are_the_texts_that_they_were(tmp_path: Path) -> None:
    texts = {"short": ("ab", "ba"), "long": ("xyéa", "bx", "y")}
    read = [load(_lines(tmp_path, name, *lines), kind="lines") for name, lines in texts.items()]
    made = joined_texts(*read)
    for data, lines in zip(made, texts.values(), strict=True):
        alphabet = data.schema.alphabet
        assert alphabet is not None
        assert alphabet == made[0].schema.alphabet
        assert alphabet.symbols == ("a", "b", "x", "y", "é")
        assert data.x.shape == (len(lines), 4)
        assert alphabet.decode(data.x) == list(lines)
    assert made[0].states == "lines of up to 4 symbols out of 5"
    assert made[0].notes == ("short has no 'xyé' of long: the model knows the 5 symbols of both",)
    # What is joined stays as it is, and the file is read in this way again.
    again = joined_texts(*made)
    assert all(torch.equal(one.x, other.x) for one, other in zip(made, again, strict=True))
    assert made[0].origin is not None
    anew = load(**made[0].origin, like=made[0])
    assert anew.fingerprint == made[0].fingerprint


def test_bytes_know_all_symbols_and_get_one_length(tmp_path: Path) -> None:
    short, long = (
        load(_lines(tmp_path, name, *lines), kind="lines", alphabet="bytes")
        for name, lines in (("short", ("a", "bb")), ("long", ("éé", "a")))
    )
    first, second = joined_texts(short, long)
    assert first.schema.alphabet == short.schema.alphabet
    assert first.x.shape == (2, 4)
    assert torch.equal(second.x, long.x)
    assert first.notes == ()


def test_texts_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    place = _lines(tmp_path, "words", "ab" * 9, "ba")
    lines = load(place, kind="lines")
    for other, said in (
        (load(place, kind="lines", alphabet="bytes"), "symbols that are characters, and words by"),
        (load(place, kind="text", window=4), "texts that are lines, and words text"),
        (Data(torch.zeros(2, 3), name="table"), "table is no text"),
    ):
        with pytest.raises(InputError, match=said):
            joined_texts(lines, other)
    windows = (load(place, kind="text", window=size) for size in (4, 5))
    with pytest.raises(InputError, match="windows of 4 symbols, and words of 5"):
        joined_texts(*windows)
