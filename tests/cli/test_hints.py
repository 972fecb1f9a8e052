"""Advice is given in the words of the command, and following it works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from pushforward.cli.app import command_of
from pushforward.cli.wording import in_words_of

# What a user would copy out of an error: an option with its value, or a key with its value.
HINT = re.compile(r"'(?:data|train)\.[a-z_]+=.*?'(?=[\s,;.)]|$)|(?:data|train)\.[a-z_]+=\S+")
OPTION = re.compile(r"--[a-z-]+ (?:'[^']*'|\S+)")

TABLES = {
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


TEXTS = {
    "decimal": "a;b\n1,25;2\n3,5;4\n5;6\n",
    "two readings": "a;b\n1,250;2\n3,500;4\n5;6\n",
    "both marks": "a;b\n1.250,5;2\n3;4\n5;6\n",
    "thousands": 'a,b\n"1,250.5",2\n3,4\n5,6\n',
    "one code": "a,b\n1,?\n3,4\n5,6\n7,8\n",
    "codes": "a,b\n1,?\n3,#N/A\n5,6\n7,8\n9,5\n",
    "dates": "when,b\n2024-02-28,2\n2024-02-29,4\n2024-03-01,5\n",
    "units": "a,b\nm,kg\n1,2\n3,4\n",
    "title": "Our station\na,b\n1,2\n3,4\n",
    "encoding": "größe,b\n1,2\n3,4\n",
    "several words": "a,k 1,k 2,b\n1,u,w,2\n3,v,w,4\n5,u,w,6\n",
    "ranges": ",".join(f"x {i}:" for i in range(9))
    + ",k,x 9:,j,x\n"
    + "1,2,3,4,5,6,7,8,9,u,1,v,2\n2,3,4,5,6,7,8,9,1,w,2,v,1\n",
    "empty column": "a,b,c\n1,,3\n3,,1\n",
}


@pytest.mark.parametrize("case", TEXTS)
def test_every_advice_on_text_tables_works(call, tmp_path: Path, case: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(TEXTS[case], encoding="cp1252")
    result = call("doctor", path)
    assert result.code == 2, result
    found = hints(result.err)
    assert found, result.err
    # Marks that are named together are meant together.
    together = [" ".join(found)] if case in ("both marks",) else found
    for hint in together:
        followed = call("doctor", path, *shlex.split(hint))
        again = hints(followed.err)
        if "code" in hint or "missing" in hint:
            assert "data.drop_nonfinite=true" in again
            followed = call("doctor", path, *shlex.split(hint), *again)
        if hint.startswith("--label") and again:  # another column is of words too
            followed = call("doctor", path, *shlex.split(hint), *shlex.split(again[0]))
        assert followed.code == 0, (hint, followed)


def test_other_data_are_read_as_the_advice_says(call, trained: Path, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("height;width\n1,5;2\n2,5;?\n3,5;4\n0,5;1\n")
    words: list[str] = []
    for hint in ("'data.decimal=,'", "'data.missing=?'", "data.drop_nonfinite=true"):
        result = call("logprob", trained, path, *words, "--steps", 4)
        assert result.code == 2
        assert hint in hints(result.err)
        words += shlex.split(hint)
    result = call("logprob", trained, path, *words, "--steps", 4)
    assert result.code == 0, result
    assert "note: 1 of 4 rows were left out" in result.err
    refused = call("logprob", trained, path, "data.columns=0", "--steps", 4)
    assert "'data.columns=0' does not say how to read the data" in refused.err
    mistyped = call("logprob", trained, path, "data.decimel=,", "--steps", 4)
    assert "did you mean 'data.decimal'" in mistyped.err


def test_one_row_is_judged_and_not_learned(call, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("height,width\n1.5,2.5\n")
    result = call("logprob", trained, tmp_path / "one.csv", "--steps", 4, "--json")
    assert result.code == 0, result
    assert '"n": 1' in result.out
    refused = call("train", tmp_path / "one.csv", "--out", tmp_path / "run", "--steps", 3)
    assert refused.code == 2
    assert "one data point shows no distribution" in refused.err
    examined = call("doctor", tmp_path / "one.csv")
    assert examined.code == 2
    assert "error: One row" in examined.out
    assert not (tmp_path / "run").exists()


def test_the_doctor_speaks_as_a_command(call, tmp_path: Path) -> None:
    rows = "\n".join(f"{i},{i * 7 % 5}" for i in range(60))
    (tmp_path / "t.csv").write_text(f"a,kind\n{rows}\n")
    result = call("doctor", tmp_path / "t.csv")
    for hint in hints(result.out):
        assert call("doctor", tmp_path / "t.csv", *shlex.split(hint)).code == 0, hint
    assert re.search(r"(?<![\w.])(label|columns|kind|standardize)=", result.out) is None, result.out


def test_notes_on_data_have_the_words_of_the_command(call, tmp_path) -> None:
    path = tmp_path / "pictures.npy"
    np.save(path, np.random.default_rng(0).random((30, 8, 8, 5)).astype(np.float32))
    told = call("doctor", path)
    assert "data.layout= or data.kind=vector says otherwise" in told.out
    run = tmp_path / "run"
    trained = call("train", path, "--model", "kde", "--out", run)
    assert "data.layout= or data.kind=vector says otherwise" in trained.err
    assert "data.layout= or data.kind=vector says otherwise" in call("logprob", run, path).err
