"""Texts on the command line: from a file to a run and to texts again."""

from __future__ import annotations

import json
import math

import pytest
import yaml
from typer.testing import CliRunner

from pushforward.cli.app import app
from pushforward.data.mixed_tables import is_mixed
from pushforward.errors import InputError

SMALL = ["model.net.class=transformer", "model.net.width=16", "model.net.depth=1",
         "model.net.heads=2", "--steps", "3", "--batch-size", "16"]  # fmt: skip


def _run(*words: object):
    return CliRunner().invoke(app, ["--quiet", *map(str, words)])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    words = ["ant", "bee", "spider", "wasp", "moth", "fly"] * 20
    (folder / "words.txt").write_text("\n".join(words) + "\n")
    found = _run("train", folder / "words.txt", "data.kind=lines", "data.window=20", *SMALL,
                 "--out", folder / "run")  # fmt: skip
    assert found.exit_code == 0, found.output
    return folder


def test_a_text_is_masked_and_read_by_a_transformer(trained):
    config = yaml.safe_load((trained / "run" / "recipe.yaml").read_text())
    assert config["data"]["kind"] == "lines"
    described = (trained / "run" / "config.yaml").read_text()
    assert "Masking" in described
    assert "TokenTransformer" in described


def test_samples_are_printed_or_written_as_lines(trained):
    printed = _run("sample", trained / "run", "-n", 3, "--steps", 5)
    assert printed.exit_code == 0, printed.output
    lines = printed.output.splitlines()
    assert len(lines) == 3
    assert set("".join(lines)) <= set("antbeespiderwaspmothfly")
    out = trained / "new.txt"
    assert _run("sample", trained / "run", "-n", 3, "--steps", 5, "--out", out).exit_code == 0
    assert out.read_text().splitlines() == lines


def test_gaps_are_filled_in_and_all_else_is_kept(trained):
    (trained / "gaps.txt").write_text("a_t\nb__\nmoth\n")
    found = _run("sample", trained / "run", "--given-file", trained / "gaps.txt", "-n", 4,
                 "--steps", 5)  # fmt: skip
    assert found.exit_code == 0, found.output
    lines = found.output.splitlines()
    assert len(lines) == 12
    assert lines[8:] == ["moth"] * 4
    assert all(line[0] == "a" and line[2:] == "t" for line in lines[:4])
    # At the end of a line a gap may be the end of the text.
    assert all(line[0] == "b" and len(line) <= 3 for line in lines[4:8])
    again = _run("sample", trained / "run", "--given-file", trained / "gaps.txt", "-n", 4,
                 "--steps", 5)  # fmt: skip
    assert again.output == found.output


@pytest.mark.parametrize(
    ("text", "more", "message"),
    [
        ("ant\nq_\n", [], "'q'"),
        ("a" * 30 + "\n", [], "30 symbols, more than the 20"),
        ("ant\n", ["--gap", "a"], "'a' is a symbol"),
        ("a_t\n", ["--stop", "0.1"], "--stop means nothing for the gaps of texts"),
    ],
)
def test_gaps_that_do_not_fit_are_refused(trained, text, more, message):
    (trained / "bad.txt").write_text(text)
    found = _run("sample", trained / "run", "--given-file", trained / "bad.txt", *more)
    assert isinstance(found.exception, InputError)
    assert message in str(found.exception)


def _trained_by(process, folder):
    """A run on the windows of a book, with a process that is named."""
    (folder / "book.txt").write_text("to be or not to be " * 40)
    found = _run("train", folder / "book.txt", "data.window=16", f"model.process={process}",
                 "--steps", 2, "--batch-size", 8, "--out", folder / "run")  # fmt: skip
    assert found.exit_code == 0, found.output
    return folder


@pytest.fixture(scope="module")
def blocks(tmp_path_factory):
    return _trained_by("block-masking", tmp_path_factory.mktemp("blocks"))


@pytest.mark.parametrize("process", ["masking", "block-masking"])
def test_a_process_that_is_named_gets_the_symbols_of_the_text(tmp_path, blocks, process):
    folder = blocks if process == "block-masking" else _trained_by(process, tmp_path)
    printed = _run("sample", folder / "run", "-n", 1, "--steps", 8)
    assert printed.exit_code == 0, printed.output
    assert len(printed.output.rstrip("\n")) == 16


def test_a_text_of_many_lines_is_no_table_of_words(tmp_path):
    book = tmp_path / "book.txt"
    book.write_text("To be or not to be.\nTo do or not to do.\n" * 15)
    assert not is_mixed(book, {})
    found = _run("doctor", book)
    assert found.exit_code == 0, found.output
    assert "128 tokens" in found.output


def test_empty_and_short_texts_are_refused_in_words(tmp_path):
    (tmp_path / "short.txt").write_text("to be or not to be")
    found = _run("train", tmp_path / "short.txt", "--out", tmp_path / "run")
    assert isinstance(found.exception, InputError)
    assert "fewer than two windows of 128" in str(found.exception)
    assert not (tmp_path / "run").exists()


def test_the_bound_of_blocks_comes_in_nats_and_in_bits_per_symbol(blocks):
    found = _run("logprob", blocks / "run", blocks / "book.txt", "--draws", 16, "--json")
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout)
    assert told["kind"] == "bound"
    assert told["n"] == 19 * 40 // 16
    bits = told["bits_per_symbol"]
    assert bits["value"] == pytest.approx(-told["mean"] / 16 / math.log(2))
    # Nearly untrained, of 7 symbols.
    assert bits["value"] == pytest.approx(math.log2(7), abs=0.3)
    (blocks / "gaps.txt").write_text("to be or ___ to ")
    found = _run("sample", blocks / "run", "--given-file", blocks / "gaps.txt", "-n", 2)
    assert "train with process=masking" in str(found.exception)
