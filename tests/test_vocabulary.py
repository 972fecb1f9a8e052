"""Words and their numbers."""

from __future__ import annotations

import pytest
import torch

from pushforward.errors import InputError
from pushforward.vocabulary import Vocabulary

WORDS = Vocabulary(("a", "circle", "green", "red", "square"), 4)
CPU = torch.device("cpu")


def test_texts_come_back() -> None:
    texts = ["a red square", "", "a green circle"]
    assert WORDS.decode(WORDS.encode(texts)) == texts


def test_case_and_punctuation_do_not_matter() -> None:
    assert torch.equal(WORDS.encode(["A  Red\tsquare."]), WORDS.encode(["a red square"]))


def test_an_unknown_word_is_named_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'crimson' in 'a crimson circle'.*: a, circle, green"):
        WORDS.encode(["a crimson circle"])
    with pytest.raises(InputError, match="did you mean 'square'"):
        WORDS.encode(["a red sqare"])


def test_texts_that_are_too_long_are_refused() -> None:
    with pytest.raises(InputError, match=r"has 5 words, and the longest text .* knows 4"):
        WORDS.encode(["a red red red square"])


def test_one_text_stands_for_all() -> None:
    one = WORDS.tokens("a red square", 3, CPU)
    assert torch.equal(one, WORDS.tokens(["a red square"] * 3, 3, CPU))
    assert torch.equal(one, WORDS.tokens(one[0], 3, CPU))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (["a circle"] * 2, "3 states need one text or 3"),
        (torch.zeros(3, 5, dtype=torch.int64), "of 4 numbers each"),
        (torch.zeros(3, 4), "this model takes texts"),
        (torch.full((3, 4), 5), "lie in -1..4, not in 5..5"),
        (torch.full((3, 4), -2), "lie in -1..4, not in -2..-2"),
        (7, "this model takes texts: a string for all, a list of 3 strings"),
        ([1, 2, 3], "this model takes texts"),
    ],
)
def test_what_is_no_text_is_refused(bad: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        WORDS.tokens(bad, 3, CPU)


@pytest.mark.parametrize(
    ("words", "length", "message"),
    [
        ((), 3, "at least one word"),
        (("a", "a"), 3, "not all different"),
        (("A",), 3, "'A' is not one word in lower case"),
        (("left of",), 3, "'left of' is not one word"),
        ((3,), 3, "3 is not one word"),
        (("a",), 0, "length"),
    ],
)
def test_what_is_no_vocabulary_is_refused(words: tuple, length: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Vocabulary(words, length)
