"""Advice is given in the words of the command, and following it works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pushforward.cli.app import command_of
from pushforward.cli.wording import in_words_of

# What a user would copy out of an error: an option with its value, or a key with its value.
HINT = re.compile(r"'(?:data|train)\.[a-z_]+=.*?'(?=[\s,;.)]|$)|(?:data|train)\.[a-z_]+=\S+")
OPTION = re.compile(r"--[a-z-]+ \S+")

TABLES = {
    "row numbers": (",a\n0,1.5\n1,2.5\n2,4\n", "data.columns=1:"),
    "missing": ("a,b\n1,2\n3,NA\n5,6\n", "data.drop_nonfinite=true"),
    "words": ("a,kind\n1,ant\n2,bee\n3,ant\n", "--label kind"),
}


def hints(text: str) -> list[str]:
    """The options that a message names with their values."""
    return [found.rstrip(",;.") for found in HINT.findall(text) + OPTION.findall(text)]


@pytest.mark.parametrize("case", TABLES)
def test_following_the_advice_works(call, tmp_path: Path, case: str) -> None:
    text, hint = TABLES[case]
    (tmp_path / "t.csv").write_text(text)
    result = call("doctor", tmp_path / "t.csv")
    assert result.code == 2, result
    assert hint in hints(result.err)
    for found in hints(result.err):
        followed = call("doctor", tmp_path / "t.csv", *shlex.split(found))
        assert followed.code == 0, (found, followed)


def test_the_advised_columns_are_the_ones_that_are_read(call, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(",a,b\n0,1.5,2\n1,2.5,5\n2,4,3\n")
    assert "3 vectors of 2" in call("doctor", tmp_path / "t.csv", "data.columns=1:").out
    assert "3 vectors of 1" in call("doctor", tmp_path / "t.csv", "data.columns=1:2").out
    assert "3 vectors of 2" in call("doctor", tmp_path / "t.csv", "data.columns=a,b").out


@pytest.mark.parametrize(
    ("command", "said", "heard"),
    [
        ("train", "with columns='1:'", "with data.columns=1:"),
        ("train", "label='my kind' or label=", "--label 'my kind' or --label"),
        ("train", "choose no labels with label=False", "choose no labels with --label false"),
        ("train", "columns=['a', 'b c']", "'data.columns=[a, b c]'"),
        ("train", "value_range=(0, 1)", "'data.value_range=[0, 1]'"),
        ("train", "pass trust=('mine',) if", "pass --trust mine if"),
        ("train", "resume=True to go on", "--resume to go on"),
        ("train", "use standardize=False", "use --no-standardize"),
        ("train", "train it with label_dropout=0.1", "train it with model.label_dropout=0.1"),
        ("train", "clip=1.0 (now 3), holdout=0.1", "train.clip=1.0 (now 3), train.holdout=0.1"),
        ("bridge", "label='kind'", "data.label=kind"),
        ("sample", "needs labels: give c=", "needs labels: give --class"),
        ("sample", "stop earlier (stop=), or rtol=1", "stop earlier (--stop), or rtol=1"),
        ("logprob", "stop earlier (stop=)", "stop earlier (--stop)"),
        ("sample", "a batch_size=8", "a --batch-size 8"),
        # Calls, keys of a recipe and words of a command are what they are.
        ("train", "Data(levels=2), Multistep(n=2)", "Data(levels=2), Multistep(n=2)"),
        ("train", "data.size=8 --lr=3 x == y", "data.size=8 --lr=3 x == y"),
    ],
)
def test_options_in_the_words_of_a_command(command: str, said: str, heard: str) -> None:
    assert in_words_of(command_of([command]), said) == heard


def test_without_a_command_nothing_is_said_otherwise() -> None:
    assert command_of(["--version"]) is None
    assert in_words_of(None, "columns='1:'") == "columns='1:'"
